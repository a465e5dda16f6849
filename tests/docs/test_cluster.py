"""The page on clusters: its example runs, in a Ray that is started for it."""

import re
from pathlib import Path

import pytest

from margrave.adapters.made_book import made_book, made_market
from margrave.engine.live.events import Input, Tick
from margrave.rulebook.catalogue import in_force

ray = pytest.importorskip("ray", reason="the extra `cluster` is not installed")

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_example_of_the_page_runs():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert 'ray.init(address="auto")' in example  # a cluster of one machine stands for it here
    market = made_market()
    told = {
        "book": made_book(300, 1, market),
        "market": market,
        "rulebook": in_force("example.inverse", market.at),
        "events": [Tick(market.at, Input.INDEX, "BTC", market.index["BTC"] * 0.9)],
    }
    ray.init(
        num_cpus=8,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=200_000_000,
    )
    try:
        exec(
            example.replace('ray.init(address="auto")', "").replace("split(book, 8)", "split(book, 2)"), told
        )
    finally:
        ray.shutdown()
    assert len(told["found"].names) == 300
    assert told["changes"].received == 1
