"""The section of a rulebook for formula margin with offsets per expiry: Derive's standard manager.

`margin.standard.standard_manager` has the formula. One market a base asset; what a market does not list it does not margin.
"""

from typing import Annotated, TypeAlias, final

from msgspec import Meta

from margrave.rulebook.form import Form

Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Factor: TypeAlias = Annotated[float, Meta(ge=0)]


@final
class PerpetualRule(Form, frozen=True, kw_only=True):
    """Requirement of a perpetual, of its notional at the perpetual's own price."""

    code: str
    initial: Factor
    maintenance: Factor


@final
class ExpiryRule(Form, frozen=True, kw_only=True):
    """Requirement of the options of one expiry: the better of the positions alone and their largest loss together."""

    code: str
    spot_max: Factor  # [fraction of spot] initial, at the money
    spot_min: Factor  # [fraction of spot] initial, however far out of the money
    maintenance_call: Factor  # [fraction of spot]
    maintenance_put: Factor  # [fraction of spot]
    maintenance_put_mark: Factor  # [fraction of mark] least maintenance of a put
    put_initial_over_maintenance: Factor  # initial of a short put is at least this times its maintenance
    unpaired_initial: (
        Factor  # [fraction of forward] each short call that no long call pairs, in the largest loss
    )
    unpaired_maintenance: Factor


@final
class BaseRule(Form, frozen=True, kw_only=True):
    """How a base asset counts as collateral."""

    code: str
    factor: Share  # share of the notional that counts in both levels
    initial_scale: Share  # share of that which counts in initial


@final
class OracleRule(Form, frozen=True, kw_only=True):
    """What initial asks when a feed is not sure of its price: (1 - confidence) x factor x notional below a threshold."""

    code: str
    perpetual_threshold: Share
    option_threshold: Share
    base_threshold: Share
    factor: Factor


@final
class DepegRule(Form, frozen=True, kw_only=True):
    """What initial asks of perpetuals and short options when the settlement asset loses its peg."""

    code: str
    threshold: Factor  # [USD] price of the settlement asset below which it is charged
    factor: Factor


@final
class StandardMarket(Form, frozen=True, kw_only=True):
    """Rules of one underlying."""

    base: str
    perpetual: PerpetualRule | None = None
    options: ExpiryRule | None = None
    collateral: BaseRule | None = None
    oracle: OracleRule | None = None


@final
class StandardManager(Form, frozen=True, kw_only=True, tag_field="model", tag="standard-manager"):
    """Formula margin of a whole account in one settlement asset, underlying by underlying."""

    code: str
    settlement: Annotated[str, Meta(min_length=1)]  # asset of cash, profit, premiums and of the requirement
    markets: Annotated[tuple[StandardMarket, ...], Meta(min_length=1)]
    depeg: DepegRule | None = None
