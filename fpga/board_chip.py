"""The chip of a board: oscillator, PLL, reset and pins around the accelerator with its serial link (hw/board.py)."""

from ..hw.board import BOARD
from .boards import Board
from .harness import CHIP
from .pll import Pll, pll

__all__ = ["board_chip"]

SETTLED = 16
"""Reset lasts 2 ** (SETTLED - 1) cycles from the PLL's lock or the button's release on, half a millisecond: longer than either
bounces."""


def board_chip(board: Board) -> str:
    """Verilog of the chip, whose ports are the board's pins.

    Raises
    ------
    ToolError : the PLL cannot make the board's clock.
    """
    directions = {"tx": "output", "led": "output", "high": "output"}
    ports = ", ".join(f"{directions.get(port, 'input')} {port}" for port in board.pins)
    sign = {port: "~" if pin.inverted else "" for port, pin in board.pins.items()}
    return "\n".join([
        f"module {CHIP}({ports});",
        "  wire clk, feedback, locked, open;",
        *instance(pll(board.oscillator, board.facts.clock), board),
        # Both come at any time; the counter begins anew at either.
        "  reg [1:0] calm = 0;",
        f"  reg [{SETTLED - 1}:0] settled = 0;",
        "  reg rst = 1;",
        "  always @(posedge clk) begin",
        f"    calm <= {{calm[0], locked & ~({sign['button']}button)}};",
        f"    settled <= !calm[1] ? 0 : settled + !settled[{SETTLED - 1}];",
        f"    rst <= !settled[{SETTLED - 1}];",
        "  end",
        f"  {BOARD} board (.clk(clk), .rst(rst), .rx(rx), .tx(tx), .open(open));",
        f"  assign led = {sign['led']}open;",
        *["  assign high = 1'b1;"] * ("high" in board.pins),
        "endmodule", ""])


def instance(settings: Pll, board: Board) -> list[str]:
    """Lines of the PLL: output CLKOP goes back to be compared, CLKOS is the clock. Attributes as ecppll sets them: of the loop."""
    parameters = {
        "CLKI_DIV": settings.reference, "CLKFB_DIV": 1, "FEEDBK_PATH": '"CLKOP"',
        "CLKOP_ENABLE": '"ENABLED"', "CLKOP_DIV": settings.multiple, "CLKOP_CPHASE": settings.multiple - 1,
        "CLKOS_ENABLE": '"ENABLED"', "CLKOS_DIV": settings.divider, "CLKOS_CPHASE": settings.divider - 1,
    }
    zero, one = ("RST", "STDBY", "PHASESEL0", "PHASESEL1", "PLLWAKESYNC", "ENCLKOP"), ("PHASEDIR", "PHASESTEP", "PHASELOADREG")
    pins = {"CLKI": "oscillator", "CLKFB": "feedback", "CLKOP": "feedback", "CLKOS": "clk", "LOCK": "locked",
            **dict.fromkeys(zero, "1'b0"), **dict.fromkeys(one, "1'b1")}
    attributes = {
        "FREQUENCY_PIN_CLKI": f"{board.oscillator / 1e6:g}", "FREQUENCY_PIN_CLKOS": f"{board.facts.clock / 1e6:g}",
        "ICP_CURRENT": 12, "LPF_RESISTOR": 8, "MFG_ENABLE_FILTEROPAMP": 1, "MFG_GMCREF_SEL": 2,
    }
    return [
        f"""  (* {', '.join(f'{name}="{value}"' for name, value in attributes.items())} *)""",
        f"  EHXPLLL #({', '.join(f'.{name}({value})' for name, value in parameters.items())})",
        f"    pll ({', '.join(f'.{name}({net})' for name, net in pins.items())});"]
