"""PyTorch, Lance and Deep Lake, asked by the benchmark: a request of JSON in each line of stdin, an answer of JSON in each line of stdout. A peer that is not installed answers with an error."""

import io
import json
import os
import resource
import sys
import time

import numpy
from PIL import Image


def files(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder))


def pixels(source, size):
    """The picture as bytes: height, width, channel."""
    image = Image.open(source).convert("RGB")
    if size:
        # The largest square from the middle, as dsv's.
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        image = image.resize((size, size), Image.BILINEAR, box=(left, top, left + side, top + side))
    return numpy.asarray(image)


class Folder:
    def __init__(self, folder, size):
        self.paths, self.size = files(folder), size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, at):
        import torch

        return torch.from_numpy(pixels(self.paths[at], self.size).copy())


def torch_epoch(request):
    import torch

    data = Folder(request["folder"], request["size"])
    loader = torch.utils.data.DataLoader(data, batch_size=request["batch"], shuffle=True, num_workers=request["workers"])
    return sum(len(batch) for batch in loader)


def lance_prepare(request):
    import lance
    import pyarrow

    column = pyarrow.array([open(path, "rb").read() for path in files(request["folder"])], pyarrow.binary())
    lance.write_dataset(pyarrow.table({"picture": column}), request["to"])


def lance_epoch(request):
    """Rows in random order, taken a batch at a time by threads: Pillow lets go of the interpreter while it decodes."""
    import concurrent.futures

    import lance

    data = lance.dataset(request["to"])
    order = numpy.random.permutation(data.count_rows())
    size, batch = request["size"], request["batch"]

    def load(rows):
        taken = data.take(rows.tolist(), columns=["picture"])["picture"].to_pylist()
        return numpy.stack([pixels(io.BytesIO(file), size) for file in taken])

    parts = [order[at : at + batch] for at in range(0, len(order), batch)]
    with concurrent.futures.ThreadPoolExecutor(request["workers"]) as pool:
        return sum(len(one) for one in pool.map(load, parts))


def deeplake_prepare(request):
    import deeplake

    data = deeplake.create(request["to"])
    data.add_column("picture", deeplake.types.Image(sample_compression="jpeg"))
    paths = files(request["folder"])
    for at in range(0, len(paths), 1000):
        data.append({"picture": [open(path, "rb").read() for path in paths[at : at + 1000]]})
    data.commit()


def deeplake_epoch(request):
    import deeplake
    import torch

    data, size = deeplake.open_read_only(request["to"]), request["size"]

    def transform(row):
        picture = row["picture"]
        if size:
            return torch.from_numpy(pixels(io.BytesIO(picture), size).copy()) if isinstance(picture, bytes) else resized(picture, size)
        return torch.as_tensor(picture)

    loader = torch.utils.data.DataLoader(data.pytorch(transform=transform), batch_size=request["batch"], shuffle=True, num_workers=request["workers"])
    return sum(len(batch) for batch in loader)


def resized(picture, size):
    import torch

    image = Image.fromarray(numpy.asarray(picture))
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return torch.from_numpy(numpy.asarray(image.resize((size, size), Image.BILINEAR, box=(left, top, left + side, top + side))).copy())


SIDES = {"torch": (None, torch_epoch), "lance": (lance_prepare, lance_epoch), "deeplake": (deeplake_prepare, deeplake_epoch)}


def cpu():
    """Seconds of processor time of this process and of workers that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def answer(request):
    prepare, epoch = SIDES[request["side"]]
    if request["do"] == "prepare":
        __import__(request["side"])
        if prepare:
            prepare(request)
        return {}
    began, before = time.perf_counter(), cpu()
    samples = epoch(request)
    return {"samples": samples, "seconds": time.perf_counter() - began, "cpu": cpu() - before}


def main():
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception as error:  # pylint: disable=broad-except
            said = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(said), flush=True)


main()
