"""Kernels of impact, sharing and generation, and the cascade, beside slow loops that say the same."""

import numpy as np
import pytest

from margrave.engine.measures.cascade import Impact, cascade
from margrave.engine.measures.density import reach_of
from margrave.kernels.deleveraging_shares import by_queue, water_filling
from margrave.kernels.generators import Brownian, Regimes, block_rows, regime_switching, stationary_rows
from margrave.kernels.impact import fills, propagated, remaining
from margrave.kernels.volatility import Garch, garch_variances

DRAWS = np.random.default_rng(20_261_125)


@pytest.mark.parametrize("row", range(20))
def test_a_cascade_beside_one_account_at_a_time(row):
    g = np.random.default_rng(row)
    way = -1.0 if row % 2 else 1.0
    place = 100.0 * np.exp(g.normal(0.0, 0.05, 60))
    held = g.normal(0.0, 1.0, 60)
    place[:3] = np.nan
    shock, kappa, depth, beta = way * 0.01, 0.08, 20.0, g.choice([1.0, 0.5])
    price, sold = 100.0 * (1.0 + shock), -1.0
    rounds = []
    while True:
        hit = [
            abs(q)
            for p, q in zip(place, held, strict=True)
            if (p >= price and q > 0 and way < 0) or (p <= price and q < 0 and way > 0)
        ]
        if sum(hit) <= max(sold, 0.0):
            break
        sold = sum(hit)
        price = 100.0 * (1.0 + shock) * np.exp(way * kappa * (sold / depth) ** beta)
        rounds.append(price)
    found = cascade(place, held, 100.0, shock, Impact(kappa, depth, beta))
    assert found.price[1:] == pytest.approx(rounds)
    first = [next((r for r, p in enumerate(found.price[:-1]) if way * p >= way * x), -1) for x in place]
    wanted = [r if way * q < 0.0 else -1 for r, q in zip(first, held, strict=True)]
    assert found.round_of(place, held).tolist() == wanted
    assert reach_of(place, held, way).upto(price) == pytest.approx(sum(hit))


@pytest.mark.parametrize("row", range(20))
def test_water_filling_beside_bisection(row):
    g = np.random.default_rng(row)
    size, room = g.uniform(0.0, 10.0, 9), g.uniform(0.1, 5.0, 9)
    wanted = g.uniform(0.0, size.sum())
    low, high = 0.0, float((size / room).max())
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if np.maximum(size - level * room, 0.0).sum() > wanted else (low, level)
    assert water_filling(size, wanted, room) == pytest.approx(np.maximum(size - high * room, 0.0), abs=1e-9)


def test_a_queue_beside_one_lot_at_a_time():
    score, size = DRAWS.normal(0.0, 1.0, 12), DRAWS.integers(0, 9, 12).astype(float)
    left, lost = 31, np.zeros(12)
    for row in sorted(range(12), key=lambda k: -score[k]):
        while left and lost[row] < size[row]:
            lost[row] += 1
            left -= 1
    assert by_queue(score, size, 31.0, 1.0).tolist() == lost.tolist()


def test_orders_beside_one_contract_at_a_time():
    price, size = np.array([101.0, 102.0, 102.0, 105.0]), np.array([2.0, 0.0, 3.0, 4.0])
    queue = [p for p, s in zip(price, size, strict=True) for _ in range(int(s))]
    wanted = np.arange(12.0)
    found = fills(price, size, wanted)
    for k, n in enumerate(wanted.astype(int)):
        assert found.cost[k] == pytest.approx(sum(queue[:n]))
        assert n == 0 or found.last[k] == queue[min(n, len(queue)) - 1]
        assert remaining(size, float(n)).sum() == max(len(queue) - n, 0)


def test_a_propagator_beside_its_sum():
    impact, kernel = DRAWS.normal(0.0, 1.0, 30), DRAWS.uniform(0.0, 1.0, 7)
    slow = [sum(impact[s] * (kernel[t - s] if t - s < 7 else 0.0) for s in range(t + 1)) for t in range(30)]
    assert propagated(impact, kernel) == pytest.approx(slow)


def test_a_stationary_bootstrap_beside_its_loop():
    uniform = np.random.default_rng(4).random((2, 3, 50))
    slow = np.zeros((3, 50), dtype=int)
    for path in range(3):
        for step in range(50):
            jumps = step == 0 or uniform[0, path, step] < 1 / 6
            slow[path, step] = int(uniform[1, path, step] * 11) if jumps else (slow[path, step - 1] + 1) % 11
    assert stationary_rows(np.random.default_rng(4), 11, 6.0, (3, 50)).tolist() == slow.tolist()


def test_blocks_beside_their_loop():
    uniform = np.random.default_rng(4).random((2, 3))
    slow = [[int(uniform[p, k // 4] * 8) + k % 4 for k in range(10)] for p in range(2)]
    assert block_rows(np.random.default_rng(4), 11, 4, (2, 10)).tolist() == slow


def test_regimes_beside_their_loop():
    table = ((0.5, 0.3, 0.2), (0.1, 0.8, 0.1), (0.3, 0.3, 0.4))
    laws = tuple(Brownian(0.0, v) for v in (0.2, 0.5, 1.0))
    uniform = np.random.default_rng(9).random((4, 60))
    found = regime_switching(np.random.default_rng(9), Regimes(laws, table), 1.0, 0.01, (4, 60), first=2)
    for path in range(4):
        now = 2
        for step in range(1, 60):
            below, total = 0, 0.0
            for chance in table[now][:-1]:
                total += chance
                below += uniform[path, step] >= total
            now = below
            assert found.regime[path, step] == now


def test_a_garch_filter_beside_its_loop():
    returns, law = DRAWS.normal(0.0, 0.02, (40, 2)), Garch(2e-6, 0.08, 0.9)
    slow = [[law.long_run, law.long_run]]
    for row in returns:
        slow.append(
            [law.omega + law.alpha * r * r + law.beta * s for r, s in zip(row, slow[-1], strict=True)]
        )
    assert garch_variances(returns, law) == pytest.approx(np.array(slow))
