"""Batches for training."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest

import dsv
from conftest import picture

numpy = pytest.importorskip("numpy")


@pytest.fixture
def many() -> dsv.Dataset:
    """101 rows with pictures of several sizes, labels, lists and some nulls."""
    ds = dsv.create("many")
    columns = {
        "id": "int64", "picture": "image", "caption": "text", "label": dsv.types.Enum("cat", "dog"), "vector": "embedding(4)", "tags": dsv.types.List("int32"), "score": "float32",
    }
    for name, ty in columns.items():
        ds.add_column(name, ty)
    numbers = range(101)
    ds.append(
        {
            "id": list(numbers),
            "picture": [picture(n, 5 + n % 3, 6) for n in numbers],
            "caption": [f"picture {n}" for n in numbers],
            "label": [["cat", "dog"][n % 2] for n in numbers],
            "vector": [[n, 1.0, 2.0, 3.0] for n in numbers],
            "tags": [list(range(n % 4)) for n in numbers],
            "score": [None if n % 10 == 9 else n / 2 for n in numbers],
        }
    )
    ds.commit("a hundred pictures")
    return ds


def ids(loader: Any) -> list[int]:
    return [int(number) for batch in loader for number in batch["id"]]


def test_batches_are_what_the_table_has(many: dsv.Dataset) -> None:
    loader = many.dataloader().images(4).numpy(batch_size=10)
    assert (len(loader), loader.samples, loader.labels("label"), loader.labels("id")) == (11, 101, ["cat", "dog"], None)
    batch = next(iter(loader))
    assert batch["picture"].shape == (10, 3, 4, 4) and batch["picture"].dtype == numpy.uint8
    assert batch["picture"][7, :, 2, 2].tolist() == [7, 0, 49]
    assert batch["id"].tolist() == list(range(10)) and batch["caption"][3] == "picture 3" and batch["label"].tolist() == [0, 1] * 5
    assert batch["vector"][2].tolist() == [2.0, 1.0, 2.0, 3.0]
    assert batch.offsets["tags"][:5] == [0, 0, 1, 3, 6] and batch["tags"][:6].tolist() == [0, 0, 1, 0, 1, 2]
    assert batch.masks["score"].tolist() == [True] * 9 + [False] and batch["score"][9] == 0.0 and list(batch.masks) == ["score"]
    assert (batch.epoch, batch.valid, batch.rows) == (0, 10, list(range(10)))
    padded = next(iter(many.dataloader().images(4).lists(pad=True).numpy(batch_size=4)))
    assert padded["tags"].tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 2]] and padded.lengths["tags"] == [0, 1, 2, 3]
    files = next(iter(many.dataloader().files().columns("picture").numpy(batch_size=2)))
    assert files == {"picture": [picture(0, 5, 6), picture(1, 6, 6)]}
    assert loader.report().startswith("10 samples")


def test_the_order_is_the_seeds(many: dsv.Dataset) -> None:
    def load(threads: int, **options: Any) -> list[int]:
        loader = many.dataloader().columns("id").numpy(batch_size=8, num_workers=threads, **options)
        return ids(loader) + ids(loader)

    first = load(1, shuffle=7)
    assert sorted(first[:101]) == list(range(101)) and first[:101] != first[101:] and first[:101] != list(range(101))
    assert load(8, shuffle=7) == first != load(1, shuffle=8)
    assert load(2) == 2 * list(range(101))
    loader = many.dataloader().columns("id").shuffle(7).numpy(batch_size=8)
    loader.set_epoch(1)
    assert ids(loader) == first[101:]
    loader.set_epoch(0)
    assert ids(loader) == first[:101]
    # A loop that is left begins anew: with the next epoch, or with the one that is asked for.
    loader.set_epoch(0)
    assert next(iter(loader))["id"].tolist() == first[:8]
    assert next(iter(loader))["id"].tolist() == first[101:109]
    third = ids(loader)
    assert sorted(third) == list(range(101)) and third not in (first[:101], first[101:])
    loader.set_epoch(0)
    assert ids(loader) == first[:101]
    # Two ranks have the same samples together, and equally many batches.
    ranks = [list(many.dataloader().columns("id").shuffle(7).numpy(batch_size=4, rank=rank, world=2)) for rank in (0, 1)]
    assert len(ranks[0]) == len(ranks[1]) == 13
    assert [int(n) for pair in zip(*ranks) for batch in pair for n in batch["id"]] == first[:101]


def test_it_goes_on_where_it_stopped(many: dsv.Dataset) -> None:
    whole = ids(many.dataloader().columns("id").query("SELECT * WHERE id % 3 <> 0").numpy(batch_size=5, shuffle=1))
    loader = many.dataloader().columns("id").query("SELECT * WHERE id % 3 <> 0").numpy(batch_size=5, shuffle=1)
    taken = []
    for batch in loader:
        taken += batch["id"].tolist()
        if len(taken) >= 20:
            break
    state = loader.state_dict()
    again = many.dataloader().columns("id").query("SELECT * WHERE id % 3 <> 0").numpy(batch_size=7, shuffle=1)
    again.load_state_dict(state)
    assert taken + ids(again) == whole
    # A loader that is pickled, and one whose branch goes on meanwhile.
    copied = pickle.loads(pickle.dumps(loader))
    many.delete("id > 50")
    many.commit("fewer")
    assert taken + ids(copied) == whole
    other = many.dataloader().columns("id").query("SELECT * WHERE id % 3 <> 0").numpy(batch_size=5, shuffle=1)
    with pytest.raises(dsv.UsageError, match="another commit"):
        other.load_state_dict(state)
    with pytest.raises(dsv.UsageError, match="another seed"):
        many.at_revision("HEAD~1").dataloader().columns("id").query("SELECT * WHERE id % 3 <> 0").numpy(shuffle=2).load_state_dict(state)


def test_pytorch_numpy_and_jax_have_the_same(many: dsv.Dataset) -> None:
    torch = pytest.importorskip("torch")
    made = many.dataloader().images(4, fit="random", flip=True, normalize=([0.5] * 3, [0.25] * 3)).lists(pad=True)
    tensors = list(made.pytorch(batch_size=16, shuffle=3, num_workers=4))
    arrays = list(made.numpy(batch_size=16, shuffle=3, num_workers=1))
    assert len(tensors) == len(arrays) == 7
    for there, here in zip(tensors, arrays):
        assert list(there) == list(here) and there.rows == here.rows and there.lengths == here.lengths
        for name, array in here.items():
            if isinstance(array, list):
                assert there[name] == array
            else:
                assert numpy.array_equal(there[name].numpy(), array) and there[name].numpy().dtype == array.dtype
        assert all(numpy.array_equal(there.masks[name].numpy(), mask) for name, mask in here.masks.items())
    # Whoever writes into a tensor writes into nothing else.
    first = tensors[0]
    first["vector"].zero_(), first["picture"].zero_(), first["id"].zero_()
    assert numpy.array_equal(next(iter(made.pytorch(batch_size=16, shuffle=3)))["vector"].numpy(), arrays[0]["vector"])
    assert first["picture"].dtype == torch.float32
    pytest.importorskip("jax")
    for there, here in zip(made.jax(batch_size=16, shuffle=3), arrays):
        assert numpy.array_equal(numpy.asarray(there["picture"]), here["picture"]) and there["caption"] == here["caption"]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_pytorchs_own_loader_takes_rows(many: dsv.Dataset, start: str) -> None:
    torch = pytest.importorskip("torch")
    rows = many.dataloader().columns("id", "picture", "vector", "caption").dataset()
    assert len(rows) == 101 and rows[3]["picture"].shape == (3, 5, 6)
    # Its threads ran before the fork.
    assert len(many.query("SELECT * FROM many WHERE id > 5")) == 95
    order = dsv.Sampler(many, seed=5)
    loader = torch.utils.data.DataLoader(rows, batch_size=10, sampler=order, num_workers=2, multiprocessing_context=start, collate_fn=_listed)
    first, second = ([n for batch in loader for n in batch["id"]] for _ in range(2))
    assert sorted(first) == list(range(101)) and first != second and len(order) == 101


def _listed(samples: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [sample[name] for sample in samples] for name in samples[0]}


def test_what_cannot_be_loaded_says_so(many: dsv.Dataset, tmp_path: Path) -> None:
    load = many.dataloader()
    for make, why in [
        (lambda: load.query("SELECT * WHERE id < 0").numpy(), "there is nothing to load"),
        (lambda: load.query("SELECT captoin").numpy(), "no column 'captoin'"),
        (lambda: load.columns("captoin").numpy(), "no column 'captoin'"),
        (lambda: load.numpy(batch_size=0), "a batch of 0 samples"),
        (lambda: load.numpy(bad="x"), "there is no option 'bad'"),
        (lambda: load.images(0).numpy(), "is no size for pictures"),
        (lambda: load.images(4, fit="squeeze").numpy(), "fit 'squeeze' is none of"),  # type: ignore[arg-type]
    ]:
        with pytest.raises(dsv.DsvError) as error:
            make()
        assert why in str(error.value)
    with pytest.raises(dsv.DsvError, match="give a size"):
        list(load.numpy(batch_size=64))
    loader = load.images(4).numpy()
    next(iter(loader))
    loader.close()
    assert len(list(loader)) == 2


def test_a_small_model_learns(many: dsv.Dataset) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    loader = many.branch("training").dataloader().images(4, normalize=True).pytorch(batch_size=16, shuffle=True)
    losses = []
    for _ in range(15):
        total = 0.0
        for batch in loader:
            target = (batch["picture"][:, 0, 0, 0] > 0.2).float()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(model(batch["picture"])[:, 0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(total / len(loader))
    assert losses[-1] < 0.8 * losses[0], losses


def _tensors(file: Path) -> dict[str, tuple[str, list[int], bytes]]:
    """What a safetensors file has: type, shape and numbers by name."""
    raw = file.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    told = json.loads(raw[8:start])
    return {name: (of["dtype"], of["shape"], raw[start + of["data_offsets"][0] : start + of["data_offsets"][1]]) for name, of in told.items() if name != "__metadata__"}


def test_the_candle_loader_has_the_same(many: dsv.Dataset, data: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    example = os.environ.get("DSV_TEST_BATCHES")
    if not example:
        pytest.skip("candle: the example that writes candle's batches is not built (DSV_TEST_BATCHES)")
    files = sorted((data / "images-captioned").glob("*.jpg"))
    assert files
    # Real pictures among the drawn ones.
    many.set_key("id")
    many.upsert([{"id": number, "picture": file} for number, file in enumerate(files)])
    many.commit("real pictures")
    subprocess.run([example, many.path, "many", str(tmp_path / "batches"), "--batch", "16", "--seed", "3", "--size", "24"], check=True)
    made = many.dataloader().images(24, fit="random", flip=True, normalize=([0.5] * 3, [0.25] * 3)).lists(pad=True)
    candle = [_tensors(file) for file in sorted((tmp_path / "batches").iterdir())]
    names = {"F32": "float32", "I64": "int64", "I32": "int32", "U8": "uint8", "U32": "uint32"}
    for loader in made.pytorch(batch_size=16, shuffle=3, num_workers=3), made.numpy(batch_size=16, shuffle=3):
        count = 0
        for theirs, ours in zip(candle, loader, strict=True):
            arrays = {name: value.numpy() if isinstance(value, torch.Tensor) else value for name, value in ours.items() if not isinstance(value, list)}
            assert set(arrays) == set(theirs) == {"id", "picture", "label", "vector", "tags", "score"}
            for name, array in arrays.items():
                dtype, shape, numbers = theirs[name]
                assert (names[dtype], tuple(shape), numbers) == (str(array.dtype), array.shape, array.tobytes()), name
            count += len(arrays["id"])
        assert count == 101
