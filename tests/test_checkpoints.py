import json

import numpy as np
import pytest
import tensorflow as tf

from deblur_keras.trainers import CheckpointError, checkpoints


def checkpoint(value):
    return tf.train.Checkpoint(
        large=tf.Variable(np.full((64, 64), value, "float32")), small=tf.Variable(value)
    )


def read(found):
    empty = checkpoint(0.0)
    empty.read(str(found.prefix)).assert_existing_objects_matched().expect_partial()
    return float(empty.small), empty.large.numpy()


def written(folder, count=3):
    files = checkpoints.Checkpoints(folder)
    for number in range(1, count + 1):
        files.write(checkpoint(float(number)), {"epoch": number})
    return files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_are_kept(tmp_path):
    files = written(tmp_path)
    each = ("data-00000-of-00001", "index", "json")
    assert names(tmp_path) == ["checkpoint", *(f"state-{n}.{end}" for n in (2, 3) for end in each)]
    found = files.newest()
    assert found.notes == {"epoch": 3}
    value, large = read(found)
    assert value == 3.0 and (large == 3.0).all()
    # Other programs find it too.
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "state-3")
    # Another process counts on.
    checkpoints.Checkpoints(tmp_path).write(checkpoint(4.0), {"epoch": 4})
    assert files.newest().notes == {"epoch": 4}
    assert checkpoints.finished_epochs(tmp_path) == 4
    assert not (tmp_path / "state-2.index").exists()


def test_an_empty_folder_and_a_missing_one_have_none(tmp_path):
    assert checkpoints.Checkpoints(tmp_path).newest() is None
    assert checkpoints.Checkpoints(tmp_path / "none").newest() is None
    assert checkpoints.finished_epochs(tmp_path) == 0


def flip(path, place=0.5):
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


ENDS = ("data-00000-of-00001", "index", "json")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("damage", [flip, cut, empty])
def test_damage_is_noticed_and_the_one_before_taken(damage, end, tmp_path, caplog):
    files = written(tmp_path)
    damage(tmp_path / f"state-3.{end}")
    found = files.newest()
    assert found.notes == {"epoch": 2} and read(found)[0] == 2.0
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        f"In {tmp_path}, state-3 is damaged: state-3.{end} is not as it was written; continuing "
        "from the one before, state-2."
    )
    # The damaged one is no reason to remove the good one.
    files.write(checkpoint(2.5), {"epoch": 3})
    assert {name.partition(".")[0] for name in names(tmp_path)} == {
        *("checkpoint", "state-2", "state-4")
    }


def test_no_flipped_bit_of_a_file_goes_unnoticed(tmp_path):
    files = written(tmp_path, count=1)
    rng = np.random.default_rng(0)
    for end in ENDS:
        path = tmp_path / f"state-1.{end}"
        content = path.read_bytes()
        for place in (0, len(content) - 1, *rng.integers(len(content), size=40)):
            broken = bytearray(content)
            broken[place] ^= 1 << rng.integers(8)
            path.write_bytes(broken)
            with pytest.raises(CheckpointError, match=r"None of the checkpoints .* from a copy"):
                files.newest()
        path.write_bytes(content)
    assert files.newest().notes == {"epoch": 1}


@pytest.mark.parametrize(("end", "said"), [*((e, f"state-3.{e} is missing") for e in ENDS[:2])])
def test_a_missing_file_is_noticed(end, said, tmp_path, caplog):
    files = written(tmp_path)
    (tmp_path / f"state-3.{end}").unlink()
    assert files.newest().notes == {"epoch": 2}
    assert said in caplog.text


def test_a_kill_during_writing_leaves_the_one_before(tmp_path, caplog):
    files = written(tmp_path)
    (tmp_path / "state-3.json").unlink()  # the last to be written
    leftover = tmp_path / "state-4_temp"
    leftover.mkdir()
    (leftover / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
    assert files.newest().notes == {"epoch": 2}
    assert "state-3 was not finished when its writing was cut off; continuing from" in caplog.text
    # What is left of it goes with the next one.
    files.write(checkpoint(5.0), {"epoch": 5})
    assert {name.partition(".")[0] for name in names(tmp_path)} == {
        *("checkpoint", "state-2", "state-5")
    }


def test_a_writing_that_fails_leaves_nothing_and_the_others(tmp_path, monkeypatch):
    files = written(tmp_path, count=2)
    before = names(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints.images, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(checkpoint(3.0), {"epoch": 3})
    assert names(tmp_path) == before
    assert files.newest().notes == {"epoch": 2}


def test_one_of_a_newer_version_is_not_passed_over(tmp_path):
    files = written(tmp_path)
    path = tmp_path / "state-3.json"
    seal = json.loads(path.read_text()) | {"format": 9, "deblur_keras": "7.0"}
    del seal["digest"]
    seal["digest"] = checkpoints._digest_of(seal)
    path.write_text(json.dumps(seal))
    with pytest.raises(CheckpointError, match=r"deblur_keras 7\.0, which is newer .* that version"):
        files.newest()


def old_layout(folder, count=3):
    """Writes checkpoints as the library did before it sealed them."""
    made = checkpoint(0.0)
    made.epoch = tf.Variable(0, dtype=tf.int64)
    manager = tf.train.CheckpointManager(made, str(folder), max_to_keep=2)
    for number in range(1, count + 1):
        made.small.assign(number)
        made.epoch.assign(number)
        manager.save()


def test_old_ones_without_seals_are_read_and_checked_by_their_own_sums(tmp_path, caplog):
    old_layout(tmp_path)
    files = checkpoints.Checkpoints(tmp_path)
    found = files.newest()
    assert found.notes is None and read(found)[0] == 3.0
    assert checkpoints.finished_epochs(tmp_path) == 3
    flip(tmp_path / "ckpt-3.data-00000-of-00001")
    found = files.newest()
    assert read(found)[0] == 2.0
    assert "ckpt-3 is damaged" in caplog.text and "continuing from the one before" in caplog.text
    # New ones count as newer, whatever their numbers.
    files.write(checkpoint(9.0), {"epoch": 9})
    assert files.newest().notes == {"epoch": 9}
    files.write(checkpoint(10.0), {"epoch": 10})
    assert not list(tmp_path.glob("ckpt-*"))
