"""Parameters of the specification's fixtures (defi 1.3), in their words and as terms of the manager."""

from margrave.adapters.conform.protocol_derive_fixed2 import terms_of

TAILS = [(0.34, 0.0545), (0.67, 0.109), (1.5, 0.072), (2, 0.036), (3, 0.018), (4, 0.012)]
SCENARIOS = [
    *([spot, "Up", 1] for spot in (1.18, 0.82)),
    *(
        [spot, vol, 1]
        for spot in (1.135, 1.09, 1.045, 1, 0.955, 0.91, 0.865)
        for vol in ("Up", "None", "Down")
    ),
    *([spot, "Up", share] for spot, share in TAILS),
    [1, "LINEAR", 1.0],
    [1, "ABS", 1.0],
]
PARAMS = {
    "SkewShock": {
        "LINEAR_SCALE_CAP": 0.15,
        "LINEAR_CBASE": -0.05,
        "ABS_SCALE_CAP": 0.15,
        "ABS_CBASE": -0.05,
        "MIN_K_STAR": 0.01,
        "MIN_WIDTH_SCALE": 4.0,
        "VOL_PARAM_STATIC": 0.6,
        "VOL_PARAM_SCALE": -0.1,
    },
    "VolShock": {
        "VOLRANGEUP": 0.5,
        "MIN_VOL_EVAL_SHOCKED": 0.45,
        "VOLRANGEDOWN": 0.275,
        "SHORTTERMPOWER": 0.3,
        "LONGTERMPOWER": 0.13,
        "DTE_FLOOR": 1.0,
    },
    "Margin": {
        "MM_LOSS_FACTOR": 0.8,
        "IM_LOSS_FACTOR": 1.0,
        "SHORT_RATE_MULTSCALE": 0.5,
        "LONG_RATE_MULTSCALE": 1,
        "SHORT_RATE_ADDSCALE": 0.08,
        "LONG_RATE_ADDSCALE": 0.08,
        "BASE_STATIC_DISCOUNT": 0.95,
        "BASE_STATIC_DISCOUNT_NEG": 1.04,
    },
    "BasisContingency": {
        "SCENARIO_SPOT_UP": 1.045,
        "SCENARIO_SPOT_DOWN": 0.955,
        "BASIS_CONT_ADD_FACTOR": 0.5,
        "BASIS_CONT_MULT_FACTOR": 2.0,
    },
    "OtherContingency": {
        "PEG_LOSS_THRESHOLD": 0.98,
        "PEG_LOSS_FACTOR": 2.0,
        "CONF_THRESHOLD": 0.55,
        "CONF_MARGIN": 1.0,
        "MM_PERP_PERCENT": 0.015,
        "IM_PERP_PERCENT": 0.005,
        "MM_OPTION_PERCENT": 0.003,
        "IM_OPTION_PERCENT": 0.002,
    },
}
TERMS = terms_of({"params": PARAMS, "scenarios": SCENARIOS})
