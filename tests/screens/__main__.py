"""Records the screens of all scenes anew; a change of one is read before it is committed."""

from tests.screens import FOLDER, SCENES, recorded

for scene in SCENES:
    (FOLDER / f"{scene}.txt").write_text(recorded(scene), encoding="utf-8")
