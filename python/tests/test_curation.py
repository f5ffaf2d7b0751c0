"""The lines that everyone writes first, on real pictures and frames: filter, nearest, diverse, branch, and a loop whose loss falls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dsv
from dsv import _dsv

numpy = pytest.importorskip("numpy")


def histogram(file: bytes) -> Any:
    """A colour histogram of 8 x 8 x 8 bins, as a vector of length 1: what stands in for an embedding."""
    pixels = numpy.asarray(_dsv.pixels(file)).reshape(-1, 3) // 32
    bins = pixels[:, 0].astype(int) * 64 + pixels[:, 1] * 8 + pixels[:, 2]
    counts = numpy.bincount(bins, minlength=512).astype(numpy.float32)
    return counts / numpy.linalg.norm(counts)


def label(height: int) -> str:
    return "1080p" if height >= 640 else "480p" if height >= 400 else "240p"


def test_from_pictures_to_a_training_loop(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    monkeypatch.setenv("DSV_FFMPEG", ffmpeg.get_ffmpeg_exe())
    # Real pictures, and frames of real videos.
    files = sorted((data / "images-captioned").glob("*.jpg"))
    videos = sorted((data / "video").glob("*.mp4"))
    if not files or not videos:
        pytest.skip(f"data: no pictures or videos in {data}")
    clips = dsv.init("clips")
    clips.import_files("clips", *videos, options=["--fps", "1", "--width", "320"])
    frames = clips["clips"][:]
    pictures = [file.read_bytes() for file in files] + [row["frame"] for row in frames]
    sources = ["still" for _ in files] + [row["video_id"] for row in frames]
    vectors = numpy.stack([histogram(file) for file in pictures])
    sizes = [numpy.asarray(_dsv.pixels(file)).shape for file in pictures]
    quality = [float(numpy.asarray(_dsv.pixels(file)).std() / 128) for file in pictures]

    ds = dsv.create("video_training_data")
    ds.add_column("video_frame", dsv.types.Image())
    ds.add_column("caption", dsv.types.Text())
    ds.add_column("clip_embedding", dsv.types.Embedding(512))
    ds.add_column("text_embedding", dsv.types.Embedding(1536))
    for name in ("quality_score", "aesthetic_score", "nsfw_score"):
        ds.add_column(name, dsv.types.Float32())
    ds.add_column("video_id", dsv.types.Text())
    ds.add_column("frame_index", dsv.types.Int64())
    ds.add_column("resolution", dsv.types.Text())
    ds.add_column("metadata", dsv.types.Json())
    rows = range(len(pictures))
    ds.append(
        {
            "video_frame": pictures,
            "caption": [f"picture {n}" for n in rows],
            "clip_embedding": vectors,
            "quality_score": quality,
            "video_id": sources,
            "frame_index": list(rows),
            "resolution": [label(height) for height, *_ in sizes],
            "metadata": [{"source": sources[n], "number": n} for n in rows],
        }
    )
    ds.commit("first frames")
    # The bytes are what was given.
    assert ds["video_frame"][3] == pictures[3] and len(ds) == len(pictures)

    middle = sorted(quality)[len(quality) // 2]
    best = ds.query(f"SELECT frame_index, video_frame FROM video_training_data WHERE quality_score > {middle} AND resolution IN ('1080p', '480p')").to_list()
    expected = [n for n in rows if float(numpy.float32(quality[n])) > middle and label(sizes[n][0]) in ("1080p", "480p")]
    assert [row["frame_index"] for row in best] == expected and all(row["video_frame"] == pictures[row["frame_index"]] for row in best)

    vector = vectors[7]
    near = ds.query("SELECT frame_index FROM video_training_data ORDER BY cosine_similarity(clip_embedding, :v) DESC LIMIT 20", v=vector).to_dict()["frame_index"]
    similar = vectors @ vector
    assert near[0] == 7 and numpy.allclose(sorted(similar[near], reverse=True), sorted(similar, reverse=True)[:20], atol=1e-5)

    # Nearest first, then greedily none that is within 0.05 of one that was taken.
    order = ds.query("SELECT frame_index, clip_embedding FROM video_training_data ORDER BY clip_embedding <=> :v", v=vector).to_list()
    taken: list[tuple[int, Any]] = []
    for row in order:
        candidate = numpy.array(row["clip_embedding"], dtype=numpy.float32)
        if all(1 - float(candidate @ other) >= 0.05 for _, other in taken):
            taken.append((row["frame_index"], candidate))
    assert 1 < len(taken) < len(pictures)
    diverse = ds.branch("diverse", where=f"frame_index IN ({', '.join(str(n) for n, _ in taken)})")
    kept = numpy.stack([numpy.array(row["clip_embedding"], dtype=numpy.float32) for row in diverse])
    distances = 1 - kept @ kept.T + numpy.eye(len(kept))
    assert len(diverse) == len(taken) and distances.min() >= 0.0499

    v2 = ds.branch("training-v2-high-quality")
    assert (v2.current_branch, ds.current_branch) == ("training-v2-high-quality", "main")
    loader = v2.dataloader().query(f"SELECT * WHERE quality_score > {middle}").images(16, normalize=True).pytorch(batch_size=16, num_workers=8, shuffle=True)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    losses = []
    for _ in range(6):
        total, samples = 0.0, 0
        for batch in loader:
            assert batch["video_frame"].shape[1:] == (3, 16, 16) and all(text.startswith("picture ") for text in batch["caption"])
            assert all(json.loads(text)["source"] for text in batch["metadata"]) and not batch.masks["aesthetic_score"].any()
            target = batch["video_frame"].mean(dim=(1, 2, 3))
            loss = torch.nn.functional.mse_loss(model(batch["video_frame"])[:, 0], target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, samples = total + loss.item() * batch.valid, samples + batch.valid
        losses.append(total / samples)
        assert samples == sum(float(numpy.float32(q)) > middle for q in quality)
    assert losses[-1] < 0.5 * losses[0], losses
