from pathlib import Path

import pytest

from tidegate.adapters.tokens import TokenFile

FIRST, SECOND = "a-token-that-is-long-enough", "another-one-that-is-long-enough"


def test_only_the_tokens_of_the_file_are_admitted(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{FIRST}\n\n  {SECOND}  \n")
    tokens = TokenFile(str(tmp_path / "token"))

    assert tokens.admits(FIRST)
    assert tokens.admits(SECOND)
    assert not tokens.admits(FIRST[:-1])
    assert not tokens.admits(f"{FIRST}\n")
    assert not tokens.admits("")
    assert not tokens.admits("ünsinn")


def test_a_secret_that_is_rotated_is_read_anew(tmp_path: Path) -> None:
    # As the kubelet does it: another directory behind the same link.
    for name, text in (("one", FIRST), ("two", SECOND)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(text)
    (tmp_path / "data").symlink_to(tmp_path / "one")
    tokens = TokenFile(str(tmp_path / "data" / "token"))
    assert tokens.admits(FIRST)

    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").rename(tmp_path / "data")

    assert tokens.admits(SECOND)
    assert not tokens.admits(FIRST)


def test_a_token_that_can_be_guessed_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")

    assert not TokenFile(str(tmp_path / "token")).admits("secret")


@pytest.mark.parametrize("content", [None, b"x" * 100_000, b"\xff\xfe token"], ids=["none", "too large", "no text"])
def test_a_file_that_is_none_of_tokens_admits_nobody_and_says_so(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(OSError, match="token"):
        TokenFile(str(tmp_path / "token")).admits(FIRST)
