"""Generated prices: moments of each law, the same bytes from the same seed, and bootstraps of real rows."""

import numpy as np
import pytest

from margrave.kernels.generators import (
    Brownian,
    Jumps,
    Regimes,
    bar_ratios,
    block_rows,
    chained_bars,
    geometric,
    jump_diffusion,
    regime_switching,
    stationary_rows,
)

DAY = 1.0 / 365.0
CALM, WILD = Brownian(0.0, 0.5), Brownian(0.0, 2.0)
TURNS = Regimes((CALM, WILD), ((0.95, 0.05), (0.2, 0.8)))


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


MAKERS = {
    "geometric": lambda g: geometric(g, CALM, 100.0, DAY, (3, 40)),
    "jumps": lambda g: jump_diffusion(g, CALM, Jumps(50.0, -0.1, 0.05), 100.0, DAY, (3, 40)),
    "regimes": lambda g: regime_switching(g, TURNS, 100.0, DAY, (3, 40)).price,
    "stationary": lambda g: stationary_rows(g, 17, 4.0, (3, 40)),
    "blocks": lambda g: block_rows(g, 17, 5, (3, 40)),
}


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_seed_gives_the_same_bytes(name):
    one, two, other = (MAKERS[name](generator(seed)) for seed in (1, 1, 2))
    assert one.tobytes() == two.tobytes() != other.tobytes()


def test_the_draws_are_those_of_the_stream():
    # A block of one row: three uniforms say where it breaks, three more which row it is.
    raw = np.random.PCG64(1).random_raw(6) >> np.uint64(11)
    rows = stationary_rows(generator(), 1_000_000, 1.0, (1, 3))
    assert rows.tolist() == [(raw[3:] / 2.0**53 * 1e6).astype(int).tolist()]


@pytest.mark.parametrize("name", ["geometric", "jumps", "regimes"])
def test_a_path_starts_with_its_price(name):
    path = MAKERS[name](generator())
    assert path.shape == (3, 41)
    assert (path[:, 0] == 100.0).all()
    assert (path > 0.0).all()


def test_moments_of_geometric_motion():
    law = Brownian(0.3, 0.8)
    returns = np.diff(np.log(geometric(generator(), law, 1.0, DAY, (2_000, 100))))
    error = 0.8 * DAY**0.5 / len(returns.ravel()) ** 0.5
    assert returns.mean() == pytest.approx((0.3 - 0.32) * DAY, abs=4 * error)
    assert returns.std() == pytest.approx(0.8 * DAY**0.5, rel=0.01)


def test_jumps_keep_the_drift_and_add_variance():
    law, jumps = Brownian(0.2, 0.4), Jumps(30.0, -0.04, 0.06)
    path = jump_diffusion(generator(), law, jumps, 1.0, DAY, (4_000, 50))
    variance = (0.4**2 + 30.0 * (0.04**2 + 0.06**2)) * DAY
    assert np.diff(np.log(path)).var() == pytest.approx(variance, rel=0.03)
    end = path[:, -1]
    assert end.mean() == pytest.approx(np.exp(0.2 * 50 * DAY), abs=4 * end.std() / 4_000**0.5)


def test_no_jumps_are_no_jumps():
    with_none = jump_diffusion(generator(), CALM, Jumps(0.0, 1.0, 1.0), 100.0, DAY, (2, 5))
    assert with_none.tobytes() == geometric(generator(), CALM, 100.0, DAY, (2, 5)).tobytes()


def test_regimes_stay_as_long_as_the_chain_says():
    found = regime_switching(generator(), TURNS, 1.0, DAY, (2_000, 200), first=1)
    assert (found.regime[:, 0] == 1).all()
    assert (found.regime[:, 100:] == 1).mean() == pytest.approx(0.2, abs=0.01)  # 0.05 / (0.05 + 0.2)
    returns = np.diff(np.log(found.price))
    for regime, law in enumerate(TURNS.laws):
        assert returns[found.regime == regime].std() == pytest.approx(law.volatility * DAY**0.5, rel=0.01)


def test_a_stationary_bootstrap_moves_on_or_jumps():
    rows = stationary_rows(generator(), 50, 8.0, (200, 500))
    assert (rows >= 0).all()
    assert (rows < 50).all()
    goes_on = (rows[:, 1:] == (rows[:, :-1] + 1) % 50).mean()
    assert goes_on == pytest.approx(7 / 8 + 1 / 8 / 50, abs=0.005)
    counts = np.bincount(rows.ravel(), minlength=50)
    assert counts.min() > 0.9 * counts.mean()  # the ends are as likely as the middle


def test_blocks_are_whole_and_inside():
    rows = block_rows(generator(), 20, 6, (50, 15))
    assert rows.shape == (50, 15)
    assert rows.max() <= 19
    for start in (0, 6, 12):
        assert (np.diff(rows[:, start : start + 6]) == 1).all()


def test_bars_in_their_own_order_are_the_bars():
    bars = np.array([[1.0, 2.0, 0.5, 1.5], [1.6, 1.8, 1.2, 1.4], [1.4, 3.0, 1.3, 2.8]])
    ratios = bar_ratios(bars)
    assert chained_bars(1.5, ratios) == pytest.approx(bars[1:])
    other = chained_bars(10.0, ratios[np.array([[1, 0], [0, 0]])])
    assert other.shape == (2, 2, 4)
    assert other[0, 1, 0] == pytest.approx(10.0 * 2.8 / 1.4 * 1.6 / 1.5)
    assert (other[..., 1] >= other[..., 2]).all()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: Brownian(np.nan, 0.1), "drift"),
        (lambda: Brownian(0.0, -0.1), "volatility"),
        (lambda: Jumps(-1.0, 0.0, 0.0), "rate"),
        (lambda: Regimes((), ()), "transition"),
        (lambda: Regimes((CALM,), ((0.5,),)), "add to one"),
        (lambda: geometric(generator(), CALM, 0.0, DAY, (1, 1)), "start"),
        (lambda: geometric(generator(), CALM, 1.0, 0.0, (1, 1)), "years"),
        (lambda: geometric(generator(), CALM, 1.0, 1.0, (-1, 1)), "shape"),
        (lambda: regime_switching(generator(), TURNS, 1.0, DAY, (1, 1), first=2), "first"),
        (lambda: stationary_rows(generator(), 0, 2.0, (1, 1)), "count"),
        (lambda: stationary_rows(generator(), 5, 0.5, (1, 1)), "block"),
        (lambda: block_rows(generator(), 5, 6, (1, 1)), "block"),
        (lambda: bar_ratios(np.ones((1, 4))), "bars"),
        (lambda: bar_ratios(np.ones((3, 3))), "bars"),
    ],
)
def test_a_bad_number_is_refused_by_name(call, match):
    with pytest.raises(ValueError, match=match):
        call()
