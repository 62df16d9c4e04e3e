"""The table of a run that may be interrupted: what is kept, what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblur_keras.evaluation.journal import RUN, Journal, JournalError, plain

COLUMNS = ("name", "psnr")
FACTS = {"model": "a", "scale": 1.0}


def written(path, names, facts=FACTS, resume=False):
    with Journal(path, COLUMNS, facts, resume) as journal:
        for name in names:
            journal.append({"name": name, "psnr": 20.5})
    return journal


def test_lines_are_on_the_disk_as_they_are_written(tmp_path):
    path = tmp_path / "new" / "scores.csv"
    with Journal(path, COLUMNS, FACTS) as journal:
        journal.append({"name": "a,b", "psnr": 1 / 3})
        assert path.read_text() == 'name,psnr\n"a,b",0.333333333\n'
    assert json.loads((path.parent / RUN).read_text()) == FACTS


def test_a_continued_run_keeps_whole_lines_and_drops_the_one_that_was_cut_off(tmp_path):
    path = tmp_path / "scores.csv"
    written(path, ["a", "b", "c"])
    path.write_text(path.read_text()[:-4])
    journal = written(path, ["c", "d"], resume=True)
    assert list(journal.rows) == ["a", "b"]
    assert path.read_text() == "name,psnr\na,20.5\nb,20.5\nc,20.5\nd,20.5\n"
    assert not list(tmp_path.glob(".*"))


@given(st.integers(0, 60))
def test_cut_off_anywhere_it_continues_to_the_same_table(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("cut") / "scores.csv"
    names = ["a", "b,1", "c"]
    written(path, names)
    whole = path.read_text()
    path.write_text(whole[:length])
    known = list(Journal(path, COLUMNS, FACTS, resume=True).rows)
    assert known == names[: len(known)]
    written(path, names[len(known) :], resume=True)
    assert path.read_text() == whole


def test_without_resume_it_begins_anew(tmp_path):
    path = tmp_path / "scores.csv"
    written(path, ["a"])
    written(path, ["b"], {"model": "other"})
    assert path.read_text() == "name,psnr\nb,20.5\n"
    assert json.loads((tmp_path / RUN).read_text()) == {"model": "other"}


def test_other_facts_or_columns_are_refused_and_nothing_is_lost(tmp_path):
    path = tmp_path / "scores.csv"
    written(path, ["a"])
    before = path.read_text(), (tmp_path / RUN).read_text()
    with pytest.raises(JournalError, match=r"scale was 1\.0 and is 0\.5; seed was None and is 3"):
        Journal(path, COLUMNS, {**FACTS, "scale": 0.5, "seed": 3}, resume=True)
    with pytest.raises(JournalError, match="expected the columns name, ssim, got name, psnr"):
        Journal(path, ("name", "ssim"), FACTS, resume=True)
    assert (path.read_text(), (tmp_path / RUN).read_text()) == before
    (tmp_path / RUN).unlink()
    with pytest.raises(JournalError, match=r"not known how scores\.csv came about"):
        Journal(path, COLUMNS, FACTS, resume=True)


@given(st.floats(width=32, allow_nan=False))
def test_nine_digits_hold_what_float32_can_tell(value):
    assert float(plain(value)) == pytest.approx(value, rel=1e-8)
    assert plain(float(plain(value))) == plain(value)
