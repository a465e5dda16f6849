"""A what-if on rules: a function from rulebook to rulebook, never an edit of the base."""

from datetime import UTC, datetime

from msgspec import structs

from margrave.rulebook.load import checked
from margrave.rulebook.schedules import Schedule
from margrave.rulebook.schema import (
    AccountRules,
    Match,
    Model,
    Product,
    Rulebook,
    Source,
)


def with_schedule(rulebook: Rulebook, schedule: Schedule | None) -> Rulebook:
    """The same rules with a directional schedule on every product, or with none.

    Contracts and schedule are independent switches (spec finding 1): the payoff of every instrument stays.
    """
    name = None if schedule is None else schedule.name

    def switched(model: Model) -> Model:
        return structs.replace(model, schedule=name)

    products = tuple(structs.replace(p, model=switched(p.model)) for p in rulebook.products)
    schedules = rulebook.schedules if schedule is None else {**rulebook.schedules, schedule.name: schedule}
    return checked(structs.replace(rulebook, products=products, schedules=schedules))


def with_account_rules(rulebook: Rulebook, rules: AccountRules) -> Rulebook:
    """The same products under other account rules."""
    return checked(structs.replace(rulebook, account=rules))


def stated(name: str, model: Model, account: AccountRules, **parts: object) -> Rulebook:
    """A rulebook of one product from rules that somebody states, such as a published worked example.

    Parameters
    ----------
    name : str
        Identifier and title.
    model, account : Model, AccountRules
        The rules.
    **parts
        Further fields of `Rulebook`, such as ``ladders`` and ``rounding``.

    Raises
    ------
    InvalidInputError
        The rules contradict themselves.
    """
    book = Rulebook(
        schema=1,
        id=name,
        venue=name.split(".", maxsplit=1)[0],
        title=f"rules as stated by {name}",
        valid_from=datetime(1970, 1, 1, tzinfo=UTC),
        account=account,
        products=(Product(name="all", match=Match(), model=model),),
        sources=(Source(id="stated", url="stated with the example"),),
        **parts,  # type: ignore[arg-type]
    )
    return checked(book)
