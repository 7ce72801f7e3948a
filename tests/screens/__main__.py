"""Record the screens of all scenes again. Review the changes before committing them."""

from tests.screens import FOLDER, SCENES, recorded

for scene in SCENES:
    (FOLDER / f"{scene}.txt").write_text(recorded(scene), encoding="utf-8")
