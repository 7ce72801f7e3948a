"""The proof of sizes, in short: it holds, and a bound that is broken makes it fail."""

import pytest

from tests.proof import sizes


def test_each_bound_is_kept_and_a_broken_one_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Small runs stay within their bounds on a terminal; a run that takes more is marked."""
    monkeypatch.setattr(sizes, "FORMATS", ("terminal",))
    monkeypatch.setattr(sizes, "KINDS", {"names": sizes.name_alone})
    assert 0 == sizes.main(["--count", "400"])
    monkeypatch.setattr(sizes, "cost", lambda *_: sizes.Cost(0, 1.0, sizes.bound(8, 50) + 1, 1))
    assert 1 == sizes.main(["--count", "400"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("names")]
    assert (6, 3) == (len(lines), sum("over the bound" in line for line in lines))
