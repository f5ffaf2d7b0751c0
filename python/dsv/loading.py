"""Batches for training: ``ds.dataloader().query(...).pytorch(batch_size=64, shuffle=True)``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import _dsv
from ._values import parameters
from .errors import UsageError

if TYPE_CHECKING:
    from .dataset import Dataset

L = TypeVar("L", bound="Loader")
#: What becomes of each batch before it is given.
Transform = Callable[["Batch"], Any]

class Batch(dict[str, Any]):
    """A batch: the columns by name, as arrays or tensors; texts and files as lists."""

    #: The epoch, counted from 0.
    epoch: int = 0
    #: How many samples it has. With ``pad_last`` the arrays of the last one may hold more rows, which are zeros.
    valid: int = 0
    #: The numbers of its rows in what is loaded.
    rows: list[int]
    #: For columns with nulls or cells that could not be loaded: which rows have a value. The others hold zeros.
    masks: dict[str, Any]
    #: For padded lists: how many numbers of each row are the list's.
    lengths: dict[str, list[int]]
    #: For lists that are not padded: where each starts in the numbers of all, and where the last one ends.
    offsets: dict[str, list[int]]

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.masks, self.lengths, self.offsets = [], {}, {}, {}


class DataLoader:
    """What is loaded and how; nothing happens before ``.pytorch()``, ``.numpy()`` or ``.jax()``. Each call returns a new one, so that it can be kept and built upon.

    Batches come from threads of the library: no processes are forked, and Python's lock is not held while they read and decode. The order depends on the seed and the epoch alone.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._sql: str | None = None
        self._values: dict[str, Any] = {}
        self._options: dict[str, Any] = {"images": True}
        self._transform: Transform | None = None

    def _with(self, **changes: Any) -> DataLoader:
        made = DataLoader(self._dataset)
        made._sql, made._values, made._options, made._transform = self._sql, self._values, dict(self._options), self._transform
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    def _option(self, **options: Any) -> DataLoader:
        return self._with(_options={**self._options, **options})

    def query(self, sql: str, **values: Any) -> DataLoader:
        """Loads what a query selects. ``SELECT * WHERE ...`` is about this table."""
        from .dataset import _about

        return self._with(_sql=_about(sql, self._dataset.name), _values=parameters(values))

    def columns(self, *names: str) -> DataLoader:
        """Loads these columns alone."""
        return self._option(columns=list(names))

    def transform(self, transform: Transform) -> DataLoader:
        """Calls ``transform(batch)`` on each batch, a dict of arrays or tensors, and gives what it returns."""
        return self._with(_transform=transform)

    def shuffle(self, seed: int = 0) -> DataLoader:
        """Another order in each epoch, the same for the same seed on any number of threads and ranks."""
        return self._option(seed=seed)

    def images(
        self,
        size: tuple[int, int] | int | None = None,
        *,
        fit: Literal["centre", "stretch", "random", "pad"] = "centre",
        flip: bool = False,
        layout: Literal["chw", "hwc"] = "chw",
        channels: Literal["rgb", "gray"] = "rgb",
        normalize: tuple[Sequence[float], Sequence[float]] | bool | None = None,
        area: tuple[float, float] | None = None,
        ratio: tuple[float, float] | None = None,
        colour: tuple[int, int, int] | None = None,
    ) -> DataLoader:
        """What is made of pictures: decoded to ``size`` (height, width); ``fit="random"`` crops as torchvision's RandomResizedCrop. ``normalize`` is (mean, std) by channel, or True for 0 to 1; without it they are uint8."""
        size = (size, size) if isinstance(size, int) else size
        scale = ([0.0] * 3, [1.0] * 3) if normalize is True else None if normalize in (None, False) else tuple(map(list, normalize))  # type: ignore[arg-type]
        return self._option(
            images=True, size=size, fit=fit, flip=flip, layout=layout, channels=channels, normalize=scale, area=area, ratio=ratio, colour=colour
        )

    def files(self) -> DataLoader:
        """Gives pictures as the bytes of their files."""
        return self._option(images=False)

    def lists(self, pad: int | bool = False) -> DataLoader:
        """Lists of numbers: one after the other with their offsets, padded to the longest of the batch (``True``), or to so many."""
        if pad is True or pad is False:
            return self._option(lists="pad" if pad else "ragged", length=None)
        return self._option(length=pad)

    def bad_rows(self, what: Literal["stop", "skip", "null"]) -> DataLoader:
        """What becomes of rows that cannot be loaded, such as damaged pictures: an error that names the row, another row in its place, or zeros and a mask."""
        return self._option(bad_rows=what)

    def _made(self, kind: type[L], batch_size: int, num_workers: int | None, shuffle: bool | int | None, drop_last: bool, pad_last: bool, more: dict[str, Any]) -> L:
        options = dict(self._options)
        if shuffle is not None and shuffle is not False:
            options["seed"] = options.get("seed") or 0 if shuffle is True else int(shuffle)
        options.update(batch=batch_size, last="drop" if drop_last else "pad" if pad_last else "short", threads=num_workers or None)
        options.update(more)
        return kind(self._dataset, self._sql, self._values, options, self._transform)

    def numpy(self, batch_size: int = 64, *, shuffle: bool | int | None = None, num_workers: int | None = None, drop_last: bool = False, pad_last: bool = False, **more: Any) -> NumpyLoader:
        """Batches as dicts of NumPy arrays. ``num_workers`` are threads (all cores without)."""
        return self._made(NumpyLoader, batch_size, num_workers, shuffle, drop_last, pad_last, more)

    def jax(self, batch_size: int = 64, *, shuffle: bool | int | None = None, num_workers: int | None = None, drop_last: bool = False, pad_last: bool = False, **more: Any) -> JaxLoader:
        """Batches as dicts of JAX's arrays, on its default device."""
        return self._made(JaxLoader, batch_size, num_workers, shuffle, drop_last, pad_last, more)

    def pytorch(
        self,
        batch_size: int = 64,
        *,
        shuffle: bool | int | None = None,
        num_workers: int | None = None,
        drop_last: bool = False,
        pad_last: bool = False,
        pin_memory: bool = False,
        rank: int | None = None,
        world_size: int | None = None,
        **more: Any,
    ) -> TorchLoader:
        """Batches as dicts of PyTorch's tensors, texts as lists of str. It is iterable and has a length, as PyTorch's own; ``num_workers`` are threads. Rank and world size are those of torch.distributed where that
        is initialised. ``state_dict()`` and ``load_state_dict()`` resume at the very next sample."""
        if rank is None or world_size is None:
            rank, world_size = _distributed()
        made = self._made(TorchLoader, batch_size, num_workers, shuffle, drop_last, pad_last, {**more, "rank": rank, "world": world_size})
        made.pin_memory = pin_memory
        return made

    def dataset(self) -> MapDataset:
        """A map-style dataset, for PyTorch's own DataLoader with its samplers and worker processes."""
        if self._sql is not None:
            raise UsageError("a map-style dataset is of a table", ["load a query by .pytorch(), or keep it as a branch: ds.branch(name, where=...)"])
        return MapDataset(self._dataset, self._options.get("columns"))


def _distributed() -> tuple[int, int]:
    try:
        from torch import distributed
    except ImportError:
        return 0, 1
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


class Loader:
    """Batches, an epoch for each time that it is iterated."""

    def __init__(self, dataset: Dataset, sql: str | None, values: dict[str, Any], options: dict[str, Any], transform: Transform | None) -> None:
        self._dataset, self._sql, self._values, self._transform = dataset, sql, values, transform
        self._options = {**options, "at": dataset.at or "HEAD"}
        self._epoch = 0
        self._state: str | None = None
        #: Whether the next loop goes on in the middle of an epoch, as a state says that was loaded.
        self._resumed = False
        self._batches: _dsv.Batches | None = None
        self._started()

    def _start(self, state: str | None) -> _dsv.Batches:
        relation = None if self._sql is not None else self._dataset.name
        # Epochs without end: the first batches of the next one are made while this one trains.
        options = {**self._options, "epochs": 1 << 40, "state": state}
        return self._dataset._core.load(options, self._sql, relation, self._values)

    def _started(self) -> _dsv.Batches:
        if self._batches is None:
            self._batches = self._start(self._state)
            # What is loaded stays what it was, though its branch goes on.
            self._options["at"] = self._batches.commit
        return self._batches

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self._started().batches_an_epoch

    @property
    def samples(self) -> int:
        """Samples of an epoch, on all ranks together."""
        return self._started().rows

    def labels(self, column: str) -> list[str] | None:
        """The names of the labels of a column that comes as their numbers."""
        return self._started().labels(column)

    def set_epoch(self, epoch: int) -> None:
        """The epoch that is loaded next; they follow one another without it."""
        if epoch == self._epoch and self._at_start():
            return
        self._go_to(json.dumps({**json.loads(self._started().state()), "epoch": epoch, "delivered": 0}))
        self._resumed = False

    def _at_start(self) -> bool:
        state = json.loads(self._started().state())
        return bool(state["delivered"] == 0 and state["epoch"] == self._epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where it stands: behind the batch that was given last."""
        return {"state": self._started().state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a state, also on another number of ranks. One of other rows, another commit or another seed is refused."""
        self._go_to(state["state"])
        self._resumed = True

    def _go_to(self, state: str) -> None:
        started = self._start(state)
        self.close()
        self._batches = started
        self._epoch = int(json.loads(state)["epoch"])

    def close(self) -> None:
        """Ends its threads. Iterated again, it begins anew: ``state_dict()`` before it, and ``load_state_dict()``, go on where it stood."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def report(self) -> str:
        """How fast it was so far, in a line."""
        return self._started().report()

    def __iter__(self) -> Iterator[Any]:
        """The batches of the next epoch, also where the last one was left by a ``break``; after ``load_state_dict`` those that are left of its epoch."""
        started = self._started()
        if not self._resumed and (stands := json.loads(started.state()))["delivered"]:
            self.set_epoch(int(stands["epoch"]) + 1)
            started = self._started()
        self._resumed = False
        while (batch := started.next()) is not None:
            if batch["is_last"]:
                self._epoch = batch["epoch"] + 1
            made = self._made(batch)
            yield made if self._transform is None else self._transform(made)
            if batch["is_last"]:
                return

    def _made(self, raw: dict[str, Any]) -> Batch:
        batch = Batch()
        batch.epoch, batch.valid, batch.rows = raw["epoch"], raw["valid"], raw["rows"]
        for name, (kind, values, more, mask) in raw["fields"].items():
            batch[name] = values if kind == "list" else self._array(values)
            if kind == "lists":
                batch.offsets[name] = more
            elif more is not None:
                batch.lengths[name] = more
            if mask is not None:
                batch.masks[name] = self._mask(mask)
        return batch

    def _array(self, numbers: _dsv.Numbers) -> Any:
        import numpy

        return numpy.asarray(numbers)

    def _mask(self, mask: list[bool]) -> Any:
        import numpy

        return numpy.array(mask, dtype=bool)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state["_state"] = self._batches.state() if self._batches is not None else self._state
        state["_batches"] = None
        # Its copy goes on where it stood.
        state["_resumed"] = True
        return state


class NumpyLoader(Loader):
    """Batches as dicts of NumPy arrays, in the memory that they were decoded or read into; what the store has as well is read-only."""


class JaxLoader(Loader):
    """Batches as dicts of JAX's arrays."""

    def _array(self, numbers: _dsv.Numbers) -> Any:
        import jax.numpy

        return jax.numpy.asarray(super()._array(numbers))


class TorchLoader(Loader):
    """Batches as dicts of PyTorch's tensors."""

    pin_memory = False

    #: PyTorch's name for it.
    @property
    def batch_size(self) -> int:
        """Samples of a batch."""
        return int(self._options["batch"])

    def _array(self, numbers: _dsv.Numbers) -> Any:
        import numpy
        import torch

        array = numpy.asarray(numbers)
        if array.dtype in (numpy.uint16, numpy.uint32, numpy.uint64):
            wide = torch.from_numpy(array.astype(numpy.int64))
            return wide.pin_memory() if self.pin_memory and torch.cuda.is_available() else wide
        if self.pin_memory and torch.cuda.is_available():
            pinned = torch.empty(array.shape, dtype=getattr(torch, str(array.dtype)), pin_memory=True)
            numbers.copy_to(pinned.data_ptr(), pinned.nbytes)
            return pinned
        # Whoever writes into a tensor must not write into memory that others read.
        return torch.from_numpy(array if array.flags.writeable else array.copy())

    def _mask(self, mask: list[bool]) -> Any:
        import torch

        return torch.tensor(mask)



class MapDataset:
    """Rows by their number: what PyTorch's DataLoader takes with any sampler, also in forked and spawned worker processes."""

    def __init__(self, dataset: Dataset, columns: Sequence[str] | None = None) -> None:
        self._dataset = dataset.at_revision(dataset._core.resolve(dataset.at or "HEAD"))
        self._columns = list(columns) if columns is not None else None
        self._length = len(self._dataset)
        self._process = os.getpid()

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Several rows at once, as PyTorch's fetcher asks for them: they are read together."""
        import numpy
        import torch

        batch = self._dataset.take([int(row) for row in rows], self._columns)
        columns: list[list[Any]] = []
        for at, ty in enumerate(batch.types):
            if ty == "image":
                columns.append([None if file is None else torch.from_numpy(numpy.asarray(_dsv.pixels(file)).transpose(2, 0, 1).copy()) for file in batch.cells(at)])
            elif ty.startswith(("embedding", "tensor")) and (numbers := batch.numbers(at)) is not None:
                columns.append(list(torch.from_numpy(numpy.array(numpy.asarray(numbers)))))
            else:
                columns.append(batch.cells(at))
        return [dict(zip(batch.columns, cells)) for cells in zip(*columns)]


class Sampler:
    """The loader's order for PyTorch's DataLoader: clustered, so that few blocks are read, the same for the same seed and epoch."""

    def __init__(self, dataset: Dataset, seed: int = 0, batch_size: int = 1024) -> None:
        self._dataset, self._seed, self._epoch, self._batch = dataset, seed, 0, batch_size

    def set_epoch(self, epoch: int) -> None:
        """The epoch that is asked for next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._dataset.at_revision(self._dataset.at or "HEAD"))

    def __iter__(self) -> Iterator[int]:
        column = self._dataset.columns[:1]
        for name, ty in self._dataset.types.items():
            if ty.startswith(("int", "bool", "float")):
                column = [name]
                break
        options = {"at": self._dataset.at or "HEAD", "columns": column, "batch": self._batch, "seed": self._seed, "epochs": self._epoch + 1, "images": False, "bad_rows": "null"}
        batches = self._dataset._core.load(options, None, self._dataset.name, {})
        state = json.loads(batches.state())
        if self._epoch:
            state.update(epoch=self._epoch)
            batches.close()
            batches = self._dataset._core.load({**options, "state": json.dumps(state)}, None, self._dataset.name, {})
        self._epoch += 1
        while (batch := batches.next()) is not None:
            yield from batch["rows"]
