"""Devices by name. The only place of the host that imports the golden model and the simulator, each when asked for."""

from collections.abc import Callable

from ..spec.config import CoreConfig
from .device import Device
from .problems import OptionError, Problem

__all__ = ["DEVICES", "open_device"]

DEVICES = ("simulated", "golden")


def open_device(name: str, config: CoreConfig, *, stall: float = 0.0, stall_seed: int = 0, exact_choice: bool = False,
                status: Callable[[str], None] | None = None) -> Device:
    """A device for the build ``config``.

    Parameters
    ----------
    name : ``simulated`` (the generated Verilog, cycle by cycle; the first use of a build compiles it) or
        ``golden`` (the exact integer model).
    stall, stall_seed : probability, 0 to 0.99, for each cycle of each channel, that the simulated host holds it back.
    exact_choice : of the golden device: top-K transport without the histogram, to compare with.
    status : called with a line of text before each slow step of a first build.

    Raises
    ------
    Problem : the name is unknown, or the simulator cannot be built here (one line with the remedy).
    """
    if name == "golden":
        if stall:
            raise OptionError(f"stall = {stall}: the golden device has no streams that could stall; use 'simulated'")
        import torch

        from ..model.device import GoldenDevice
        # Its products are small: threads gain little, and on a busy machine they wait for each other most of the time.
        torch.set_num_threads(1)
        return GoldenDevice(config, exact_choice)
    if name == "simulated":
        if exact_choice:
            raise OptionError("the simulated device chooses by histogram; exact choice needs 'golden'")
        if not 0 <= stall <= 0.99:
            raise OptionError(f"stall = {stall}: a probability from 0 to 0.99 is needed")
        from ..sim.device import SimulatedDevice
        from ..sim.toolchain import ToolchainError
        try:
            return SimulatedDevice(config, stall=stall, stall_seed=stall_seed, status=status)
        except (ToolchainError, OSError) as error:
            raise Problem(f"the simulated device cannot be built: {error}") from error
    raise OptionError(f"device {name!r} is unknown; choose one of: {', '.join(DEVICES)}")
