import builtins

from coldspike.host.plots import plot_run

ROWS = [{"epoch": n, "train_loss": 1 / n, "train_accuracy": 0.8, "test_accuracy": 0.7} for n in (1, 2, 3)]


def test_a_run_is_drawn_as_png_and_svg(tmp_path):
    png, svg = plot_run(tmp_path, ROWS, "digits, 64-9-10")
    assert png.read_bytes().startswith(b"\x89PNG") and "digits, 64-9-10" in svg.read_text()
    first = svg.read_bytes()
    plot_run(tmp_path, ROWS, "digits, 64-9-10")
    assert svg.read_bytes() == first
    assert {p.name for p in tmp_path.iterdir()} == {"curve.png", "curve.svg"}


def test_without_matplotlib_nothing_is_drawn(tmp_path, monkeypatch):
    find = builtins.__import__
    def missing(name, *rest, **more):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return find(name, *rest, **more)
    monkeypatch.setattr(builtins, "__import__", missing)
    assert plot_run(tmp_path, ROWS, "title") == [] and not list(tmp_path.iterdir())
