"""The network that an accelerator runs, and the values of its configuration registers."""

import dataclasses
from dataclasses import dataclass

from ..spec.config import CoreConfig, Rule
from ..spec.lif import STRENGTH_BITS, LifSettings
from ..spec.network import Readout
from ..spec.rate import RateSettings
from ..spec.registers import GAIN_BITS, SCALE_BITS, SHIFT_BITS, WINDOW_BITS
from ..spec.transport import Precision
from .problems import OptionError
from .rates import Rate, quantize_rate
from .schemes import Scheme

__all__ = ["NetworkSettings"]

CLIP_FRACTION, CLIP_MAX = 12, 65535


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Everything that is set while the accelerator is stopped.

    Parameters
    ----------
    layers : neurons of each layer, inputs first.
    learning_rates : one for every weight layer, or one for all; of the batch mean (SGD) or of the sign.
    weight_decays : decoupled decay, one for every weight layer, or one for all; each update multiplies the weights
        by ``1 - learning_rate * weight_decay``.
    batch_size : samples that an update is the mean of (SGD).
    readout : what the output layer reports.
    level_clip, slope_clip : bounds of the derivatives |ds/dI| and |ds/dW| of a spike time, 0 to 15.99.
    interval : transport interval Phi in updates; 0 never ends.
    interval_start : updates since the interval began.
    schemes : feedback and transport of weight layers 2 to L; full transport at the interval unless given.
    over_time : how a network of rule sparse-bptt runs over time. rate : how one of rule rate does. With neither it is of rule ttfs;
        with both ``of`` chooses, before it runs.
    """

    layers: tuple[int, ...]
    learning_rates: tuple[float, ...]
    weight_decays: tuple[float, ...] = (0.0,)
    batch_size: int = 1
    readout: Readout = Readout.POTENTIAL
    level_clip: float = 1.0
    slope_clip: float = 1.0
    interval: int = 1
    interval_start: int = 0
    schemes: tuple[Scheme, ...] = ()
    over_time: LifSettings | None = None
    rate: RateSettings | None = None

    @property
    def depth(self) -> int:
        """Number of weight layers L."""
        return len(self.layers) - 1

    @property
    def rule(self) -> Rule:
        """The learning rule."""
        return Rule.SPARSE_BPTT if self.over_time is not None else Rule.RATE if self.rate is not None else Rule.TTFS

    @property
    def listed(self) -> bool:
        """Whether a sample is a list of words, those of its spikes, and not a time or level of each input."""
        return self.over_time is not None or self.rate is not None and self.rate.coded

    @property
    def decays(self) -> list[int]:
        """What space DECAY holds; nothing of rule ttfs."""
        if self.over_time is not None:
            return self.over_time.decays[:self.over_time.steps + 1]
        return [] if self.rate is None else self.rate.profile

    def of(self, rule: Rule) -> "NetworkSettings":
        """The same for a rule that they hold settings for: without those of the others."""
        return dataclasses.replace(self, over_time=self.over_time if rule is Rule.SPARSE_BPTT else None,
                                   rate=self.rate if rule is Rule.RATE else None)

    def rates(self, config: CoreConfig) -> list[Rate]:
        """Rate of each weight layer. Raises OptionError for rates that the build cannot apply."""
        spread = []
        for what, given in (("learning rates", self.learning_rates), ("weight decays", self.weight_decays)):
            if len(given) not in (1, self.depth):
                raise OptionError(f"{len(given)} {what} for {self.depth} weight layers: give one, or one for each")
            spread.append(given * self.depth if len(given) == 1 else given)
        return [quantize_rate(config, rate, weight_decay=decay, batch_size=self.batch_size)
                for rate, decay in zip(*spread, strict=True)]

    def registers(self, config: CoreConfig) -> dict[str, int]:
        """Values of the configuration registers by name.

        Raises OptionError for a network that does not fit the build and for values that no register can hold.
        """
        if problem := config.misfit(self.layers):
            raise OptionError(f"{problem}; use fewer or smaller layers, or a larger build")
        if not 0 <= self.interval < 1 << 32:
            raise OptionError(f"interval = {self.interval}: an integer from 0 (never) to {(1 << 32) - 1} is needed")
        values = {
            "LAYERS": self.depth, "INTERVAL": self.interval, "INTERVAL_START": self.interval_start, **self._rule_registers(config),
        }
        values |= {f"SIZE_{l}": size for l, size in enumerate(self.layers)}
        if any(self.weight_decays) and not config.weight_decay:
            raise OptionError(f"weight decay {max(self.weight_decays):g}: this build cannot; use 0, or build it with weight_decay")
        for l, rate in enumerate(self.rates(config), start=1):
            values |= {f"RATE_{l}": rate.register} | ({f"DECAY_{l}": rate.decay} if config.weight_decay else {})
        return values | self._transport_registers(config)

    def _rule_registers(self, config: CoreConfig) -> dict[str, int]:
        if self.rule not in config.rules:
            raise OptionError(f"rule {self.rule}: this build has {', '.join(config.rules)}; choose that, or build it with rules")
        if self.over_time is not None and self.rate is not None:
            raise OptionError("settings of rules sparse-bptt and rate: a network runs by one; choose it")
        own = {Rule.TTFS: self._ttfs_registers, Rule.SPARSE_BPTT: self._over_time_registers, Rule.RATE: self._rate_registers}
        return ({"RULE": self.rule.code} if len(config.rules) > 1 else {}) | own[self.rule](config)

    def _ttfs_registers(self, config: CoreConfig) -> dict[str, int]:
        return {"READOUT": int(self.readout), "LEVEL_CLIP": clip_register(self.level_clip),
                "SLOPE_CLIP": clip_register(self.slope_clip)}

    def _rate_registers(self, config: CoreConfig) -> dict[str, int]:
        check_range("steps", self.rate.steps, config.max_steps, low=1)
        return {"STEPS": self.rate.steps, "CODING": int(self.rate.coded), "TICKS": self.rate.ticks(config)}

    def _over_time_registers(self, config: CoreConfig) -> dict[str, int]:
        given = self.over_time
        for what, value, high in (("steps", given.steps, config.max_steps), ("gain", given.gain, (1 << GAIN_BITS) - 1),
                                  ("scale of the output errors", given.scales[-1], (1 << SCALE_BITS) - 1)):
            check_range(what, value, high)
        if len(given.scales) != self.depth:
            raise OptionError(f"{len(given.scales)} error scales for {self.depth} weight layers: one for each is needed")
        try:
            shifts = {f"ERROR_SHIFT_{l}": given.error_shift(config, l) for l in range(2, self.depth + 1)}
        except ValueError as error:
            raise OptionError(str(error)) from None
        if any(shift >> SHIFT_BITS for shift in shifts.values()):
            most = (1 << SHIFT_BITS) - 1 - given.base_shift(config)
            raise OptionError(f"error scales {given.scales}: one layer's may lie {most} above that of the layer before")
        if given.rates is not None and not config.rate_loss:
            raise OptionError("losses of firing rates: this build has none; leave them out, or build it with rate_loss")
        window = min(given.window, (1 << WINDOW_BITS) - 1)  # beyond every potential
        logit = int(given.over_time) | given.gain << 1 | given.scales[-1] << 1 + GAIN_BITS
        return {"STEPS": given.steps, "WINDOW": window, "GRADIENTS": int(given.gradients), "LOGIT": logit, **shifts,
                **self._loss_registers(config)}

    def _loss_registers(self, config: CoreConfig) -> dict[str, int]:
        rates = self.over_time.rates
        if not config.rate_loss:
            return {}
        if rates is None:
            return {"RATE_BOUNDS": 0} | {f"RATE_LOSS_{l}": 0 for l in range(2, self.depth + 1)}
        strengths = zip(rates.lower, rates.upper, strict=True)
        return {"RATE_BOUNDS": rates.least | rates.most << 16} | {
            f"RATE_LOSS_{l}": lower | upper << STRENGTH_BITS for l, (lower, upper) in enumerate(strengths, start=2)}

    def _transport_registers(self, config: CoreConfig) -> dict[str, int]:
        values = {}
        for l, scheme in enumerate(self.schemes or (Scheme(feedback="fbp"),) * (self.depth - 1), start=2):
            held = scheme.registers(config, self.layers[l - 1], self.layers[l])
            values[f"TRANSPORT_{l}"] = held.register
            if config.partial_transport:
                values[f"SELECT_{l}"] = held.select
            if config.feedback_precision is Precision.SIGN:
                values[f"SCALE_{l}"] = held.scale
        return values


def check_range(what: str, value: int, high: int, low: int = 0) -> None:
    """Raises OptionError for a value that the build does not have."""
    if not low <= value <= high:
        raise OptionError(f"{what} = {value}: this build has {low} to {high}")


def clip_register(clip: float) -> int:
    """UQ4.12 of a derivative's bound. Raises OptionError for one that it cannot hold."""
    value = round(clip * 2**CLIP_FRACTION) if clip == clip else -1
    if not 0 <= value <= CLIP_MAX:
        raise OptionError(f"clip = {clip}: a number from 0 to {CLIP_MAX / 2**CLIP_FRACTION:.2f} is needed")
    return value
