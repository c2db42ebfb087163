import copy
import io
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from coldspike.host.command_experiment import VIEWS, experiment
from coldspike.host.command_experiment import Interrupted as RaisedByCommand
from coldspike.host.display import TrainingDisplay
from coldspike.host.experiments import runs
from coldspike.host.experiments.energy import energy
from coldspike.host.experiments.figures import draw
from coldspike.host.experiments.plan import EXPERIMENTS, Experiment, Study
from coldspike.host.experiments.runs import Results, carry_out
from coldspike.host.experiments.similarity import gradient_similarity
from coldspike.host.experiments.tables import COLUMNS, markdown, rich_table, rows
from coldspike.host.problems import Interrupted, OptionError
from coldspike.model.exact import TtfsNetwork
from coldspike.model.exact.transport import encode, exactly_largest, largest
from coldspike.spec.config import CoreConfig
from coldspike.spec.transport import Precision

SMALL = {"data": "digits", "layers": (64, 12, 9, 10), "lanes": 4, "batch_size": 16, "epochs": 2, "samples": 160, "test_samples": 30,
         "lr": (0.01,)}
SCREEN = Console(file=io.StringIO())


def study(name: str = "BP", exact_choice: bool = False, group: str = "", **given) -> Study:
    given = SMALL | {"feedback": "bp"} | given
    return Study(network="two hidden layers", name=name, group=group, given=given, exact_choice=exact_choice)


BP = study()
TOP_K = study("top-K", group="top-K", feedback="fbp", interval=5, transport="top-k", fraction=(0.05,))


@pytest.fixture
def results(tmp_path) -> Results:
    return Results(tmp_path / "results")


@pytest.fixture
def small_exchanges(monkeypatch):
    monkeypatch.setattr("coldspike.host.trainer.EXCHANGE_SAMPLES", 16)


# -- plan ------------------------------------------------------------------------------------------
def test_every_run_of_the_plan_has_a_name_of_its_own():
    named = {}
    for each in EXPERIMENTS.values():
        for one in each.studies:
            for seed in (1, 2, 3):
                run = one.run(seed)
                assert named.setdefault(run.key, run) == run
    assert len({run.key.rpartition("-")[0] for run in named.values()}) > 20
    assert all(len({one.run(1).key for one in each.studies}) == len(each.studies) for each in EXPERIMENTS.values())


def test_a_name_tells_results_apart_and_nothing_else():
    run = BP.run(1)
    assert run.key == BP.run(1, plot=False, checkpoint_seconds=9.0).key, "neither changes the result"
    others = [BP.run(2), BP.run(1, lr=(0.02,)), BP.run(1, epochs=3), BP.run(1, device="simulated"), BP.run(1, feedback="fa"),
              study(exact_choice=True).run(1), BP.run(1, layers=(64, 13, 9, 10))]
    assert len({run.key, *(other.key for other in others)}) == 1 + len(others)
    assert run.key.startswith("2x12-bp-seed1-") and others[3].key == f"{run.key}-simulated"


# -- runs ------------------------------------------------------------------------------------------
def test_a_result_that_is_there_is_not_made_again(results, tmp_path, monkeypatch):
    carry_out(results, [BP], 2, tmp_path / "work", SCREEN)
    assert {p.stem for p in results.folder.iterdir()} == {BP.run(1).key, BP.run(2).key}
    monkeypatch.setattr(runs, "trained", lambda *_: pytest.fail("ran again"))
    carry_out(results, [BP], 2, tmp_path / "work", SCREEN)
    results.path(BP.run(2)).unlink()
    with pytest.raises(pytest.fail.Exception):
        carry_out(results, [BP], 2, tmp_path / "work", SCREEN)


@pytest.mark.parametrize("stops", [(3,), (1, 7, 19), (10,), (20,)])
def test_an_interrupted_run_goes_on_and_ends_alike(results, tmp_path, monkeypatch, small_exchanges, stops):
    """Ctrl-C in the first, a middle and the last batch of an epoch; what was measured on the way is kept and not doubled."""
    carry_out(results, [TOP_K], 1, tmp_path / "whole", SCREEN)
    expected = results.get(TOP_K.run(1))
    results.path(TOP_K.run(1)).unlink()
    seen, shown = 0, TrainingDisplay.batch

    def batch(self, progress):
        nonlocal seen
        seen += 1
        if seen in stops:
            os.kill(os.getpid(), signal.SIGINT)
        return shown(self, progress)

    monkeypatch.setattr(TrainingDisplay, "batch", batch)
    for _ in stops:
        with pytest.raises(Interrupted):
            carry_out(results, [TOP_K], 1, tmp_path / "work", SCREEN)
        assert results.get(TOP_K.run(1)) is None
    carry_out(results, [TOP_K], 1, tmp_path / "work", SCREEN)
    assert seen == 20 and results.get(TOP_K.run(1)) == expected
    assert [row["update"] for row in expected["similarity"]] == list(range(1, 21))


def test_the_command_says_how_to_go_on(tmp_path, monkeypatch, small_exchanges):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(EXPERIMENTS, "small", Experiment(text="one run", studies=(BP,)))
    monkeypatch.setattr(TrainingDisplay, "batch", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(RaisedByCommand, match=r"^stopped after batch 1 of 10 in epoch 1; continue with: the same command$"):
        experiment("small", seeds=1, epochs=None, samples=None, test_samples=None, out=tmp_path / "out", show=False, as_json=False)


def test_bad_requests_run_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"seeds": 1, "epochs": None, "samples": None, "test_samples": None, "out": tmp_path / "out", "as_json": False}
    with pytest.raises(OptionError, match=r"^experiment 'table9' is unknown; choose one of: table1, "):
        experiment("table9", show=False, **given)
    with pytest.raises(OptionError, match=r"out: holds no result of table1; leave out --show$"):
        experiment("table1", show=True, **given)
    assert not list(tmp_path.iterdir())


# -- similarity ------------------------------------------------------------------------------------
def network(precision: Precision = Precision.FULL, **more) -> TtfsNetwork:
    core = CoreConfig.for_network((10, 9, 7, 5), lanes=2)
    net = TtfsNetwork(replace(core, feedback_precision=precision, **more), (10, 9, 7, 5))
    random = torch.Generator().manual_seed(3)
    net.weights = [torch.randint(-900, 900, w.shape, generator=random) for w in net.weights]
    net.feedback = [None, *(encode(net.config, w) for w in net.weights[1:])]
    return net


def probe() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    return random.integers(0, 200, (20, 10)), random.integers(0, 5, 20)


def test_gradients_through_the_weights_themselves_are_the_true_ones():
    net = network()
    state = copy.deepcopy(vars(net))
    assert gradient_similarity(net, *probe()) == pytest.approx([1, 1])
    for name in ("weights", "feedback", "gradients"):
        assert all(a is b or torch.equal(a, b) for a, b in zip(getattr(net, name), state[name], strict=True)), name
    assert net.counters == state["counters"]


def test_other_feedback_weights_turn_the_gradients_below_them():
    """B of the output layer reaches layers 1 and 2; negated, it turns layer 2's gradient round."""
    net = network()
    net.feedback[2] = -net.feedback[2]
    first, second = gradient_similarity(net, *probe())
    assert second == pytest.approx(-1, abs=0.02), "errors round halves upwards"
    assert abs(first) <= 1
    net = network()
    net.feedback[1] = -net.feedback[1]
    assert gradient_similarity(net, *probe()) == pytest.approx([-1, 1], abs=0.02)


def test_what_cannot_be_compared_is_left_out():
    assert gradient_similarity(network(Precision.SIGN), *probe()) is None


# -- exact choice ----------------------------------------------------------------------------------
def test_exact_choice_takes_the_largest_and_of_equal_ones_the_first():
    change = torch.tensor([[5, 900, 7], [900, 901, 0]])
    assert exactly_largest(change, 2).tolist() == [[False, True, False], [False, True, False]]
    assert exactly_largest(change, 3).tolist() == [[False, True, False], [True, True, False]]
    assert exactly_largest(change, 0).sum() == 0 and exactly_largest(change, 99).all()


def test_the_histogram_takes_as_many_and_nearly_as_large():
    change = torch.randint(0, 5000, (41, 37), generator=torch.Generator().manual_seed(5))
    for count in (1, 15, 400, 1500):
        exact, rough = change[exactly_largest(change, count)], change[largest(change, count)]
        assert len(exact) == len(rough) == count
        assert rough.sum() <= exact.sum() and rough.min() >= exact.min() * 7 / 8, "a bin is an eighth of its value wide at most"


def test_exact_choice_changes_a_run_and_only_the_golden_device_has_it(results, tmp_path):
    rough = study("top-K", feedback="fbp", interval=5, transport="top-k", fraction=(0.05,), lr=(0.3,), optimizer="sgd")
    exact = replace(rough, exact_choice=True)
    carry_out(results, [rough, exact], 1, tmp_path / "work", SCREEN)
    by_histogram, exactly = results.get(rough.run(1)), results.get(exact.run(1))
    assert by_histogram["weights_digest"] != exactly["weights_digest"]
    assert by_histogram["transported_weights"] == exactly["transported_weights"]
    with pytest.raises(OptionError, match="chooses by histogram; exact choice needs 'golden'$"):
        carry_out(results, [exact], 1, tmp_path / "work", SCREEN, device="simulated")


# -- tables and figures ----------------------------------------------------------------------------
def made(results: Results, one: Study, seed: int, accuracy: float, moved: int = 0, **more) -> dict:
    """A result as a run leaves it."""
    run = one.run(seed)
    layers = run.options.layers
    names = ("TRANSPORTS", "SIGNS_TRANSPORTED", "TRANSPORT_WORDS", "FEEDBACK_WORDS", "TRANSPORT_CYCLES", "EXPOSED_CYCLES",
             "WEIGHTS_READ")
    counters = {f"{what}_{l}": 100 for l in range(4) for what in ("EVENTS", "ACTIVE")} | dict.fromkeys(names, 40)
    counters |= {"WEIGHTS_TRANSPORTED": moved, "UPDATES": 20, "TOTAL_CYCLES": 1000}
    similarity = [{"update": n, "layers": [0.5, 0.75]} for n in range(1, 4)]
    result = {"layers": list(layers), "seed": seed, "epochs": 2, "test_accuracy": accuracy, "test_accuracies": [0.1, accuracy],
              "counters": counters, "weights_digest": f"{seed}", "similarity": similarity} | more
    results.put(run, result)
    return result


def test_a_row_tells_mean_deviation_and_reduction(results):
    for seed, accuracy in ((1, 0.80), (2, 0.82), (3, 0.84)):
        made(results, TOP_K, seed, accuracy, moved=198 * seed)
    row = rows([BP, TOP_K], results, 3)
    assert len(row) == 1, "a study without a result has no row"
    plain = row[0].plain()
    assert (plain["seeds"], plain["accuracy"], plain["deviation"]) == (3, pytest.approx(0.82), pytest.approx(0.02))
    assert plain["reduction"] == pytest.approx(20 * 198 / (198 * 2)), "BP moves 12 x 9 + 9 x 10 weights after each update"
    assert plain["weights_per_epoch"] == 198 and plain["transports_per_epoch"] == 20 and plain["words_per_epoch"] == 40
    assert plain["best_epoch"] == 2 and plain["same_on"] == {}
    assert "| 82.00 +- 2.00 |" in markdown(row, COLUMNS) and markdown(row, COLUMNS).count("\n") == 3
    assert rich_table("title", row, COLUMNS).row_count == 1
    assert rows([TOP_K], results, 2)[0].plain()["accuracy"] == pytest.approx(0.81)


@pytest.mark.parametrize("changed, equal", [({}, True), ({"weights_digest": "x"}, False), ({"test_accuracies": [0.2, 0.8]}, False)])
def test_a_run_on_the_rtl_is_compared(results, changed, equal):
    golden = made(results, BP, 1, 0.8, moved=1)
    made(results, BP, 2, 0.9, moved=1)
    results.put(BP.run(1, device="simulated"), golden | changed)
    row = rows([BP], results, 3)
    assert row[0].plain()["same_on"] == {"simulated": equal}
    assert ("| equal |" in markdown(row, COLUMNS)) is equal and ("| DIFFERS |" in markdown(row, COLUMNS)) is not equal
    assert len(markdown(row, COLUMNS).splitlines()[0].split("|")) == len(COLUMNS) + 2


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in VIEWS])
def test_each_experiment_draws_a_figure(results, tmp_path, name):
    one = replace(TOP_K, name="top-K, Phi = 5, K = 5%")
    for which, moved in ((BP, 3960), (one, 198)):
        made(results, which, 1, 0.8, moved=moved)
    paths = draw(name, rows([BP, one], results, 1), tmp_path)
    assert [p.name for p in paths] == [f"{name}.png", f"{name}.svg"] and all(p.stat().st_size > 1000 for p in paths)
    assert ("top-K" in paths[1].read_text()) or name == "figure2"


def test_energy_adds_what_was_counted():
    core = CoreConfig.for_network((8, 4, 2), lanes=2)
    nothing = dict.fromkeys(("EVENTS_0", "EVENTS_1", "ACTIVE_1", "ACTIVE_2", "UPDATES", "WEIGHTS_READ", "SIGNS_TRANSPORTED",
                             "FEEDBACK_WORDS"), 0)
    assert set(energy(core, (8, 4, 2), nothing).values()) == {0}
    w, b = core.weight.bits, core.feedback.bits
    moved = energy(core, (8, 4, 2), nothing | {"WEIGHTS_READ": 8, "FEEDBACK_WORDS": 4})
    assert moved["transport memory"] == pytest.approx((8 * w + 8 * b) * 10 / 64 * 1e-6) and moved["transport logic"] == 0
    chosen = energy(replace(core, partial_transport=True), (8, 4, 2), nothing | {"WEIGHTS_READ": 8, "FEEDBACK_WORDS": 1})
    assert chosen["transport memory"] == pytest.approx((8 * w + 8 * b + 2 * b) * 10 / 64 * 1e-6), "B is looked at, too"
    first, second = (energy(core, (8, 4, 2), nothing | counted)["forward memory"] for counted in ({"EVENTS_0": 3}, {"EVENTS_1": 6}))
    assert first == pytest.approx(second) and first > 0, "3 events meet 4 neurons, 6 meet 2"
