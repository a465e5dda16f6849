"""Formulas on NumPy arrays: pure functions, no clock, disk or dice.

May import numpy and nothing else, not even another room; ``compiled`` numba as well, and only when one of its
modules is imported. Everything broadcasts; shapes, units and signs
stand in the docstrings. Long > 0, profit > 0, margin >= 0, fractions not per cent. Bad arguments raise
ValueError by name.

Start reading in ``black76`` (what an option is worth), then ``ladder`` and ``option_margin`` (what a position
must post), then ``schedule`` (how that moves with the market).

=======================  ======================================================================================
``arrays``               F64 and its kin; finite, positive, non_negative
``normal``               normal_pdf, normal_cdf, normal_quantile
``black76``              coin_price, usd_price, quote_price, quanto_inverse_price; coin_greeks → Greeks,
                         quote_greeks → QuoteGreeks
``discounted_option``    discounted_price, discounted_delta: Black-76 under a discount factor, defined at every edge
``svi``                  svi_vol, svi_log_moneyness
``implied_vol``          implied_vol_coin, implied_vol_quote
``ladder``               segment, ladder_margin, marginal_rate, progressive_deduction; ladder_key,
                         ladder_margin_many
``option_margin``        ShortOptionTerms, short_option_margin, otm_amount
``schedule``             log_, percent_, coin_, sigma_, return_on_margin_ and exposure_excursion; multiplier_ and
                         slope_ linear, pchip and step; validate_table; step_tier, rate_limited_release, ratchet,
                         high_water_mark, ewma, cap_release, floor_and_cap
``tail``                 lower_, upper_ and linear_quantile, expected_shortfall → Tail; quantile_ and
                         shortfall_precision → Precision; normal_value_at_risk, normal_expected_shortfall;
                         solvency_share, least_collateral
``history``              ewma_variances, vol_ratios; rescaled, half_rescaled
``draws``                standard_normals of a stated seed, correlation_root, correlated, student_scale
``holding_period``       horizon_factor, liquidation_factor, square_root_impact, days_to_liquidate, normal_shortfall
``backtests``            coverage_test, independence_test, zone, boundaries; shortfall_test
``volatility``           annual, per_step; Garch, garch_variances, garch_forecast, garch_horizon
``dynamic_rate``         vol_ and liquidity_multiplier, crowding; buffered, blended, floored, speed_limited; Cadence,
                         decided, rates: when a new rate takes effect
``generators``           geometric, jump_diffusion, regime_switching; stationary_ and block_rows, chained_bars
``impact``               power_law, temporary_linear, square_root; decayed, propagated; emptied, refilled; fills of a
                         book's levels; Programme, holdings, execution_cost (Almgren and Chriss)
``deleveraging_shares``  by_queue, pro_rata, haircut, water_filling: who loses how much, in whole lots
``groups``               first_seen, rows_of, run_ends
``lambert``              lambert_w0, lambert_w0_exp
``roots``                bracketed_root
``compiled``             the hot loops of whole books: options × scenarios, worst cells, tiers (extra ``fast``)
=======================  ======================================================================================
"""
