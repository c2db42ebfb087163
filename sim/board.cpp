// Drives the verilated board through its serial wires, bit by bit; C ABI for board.py.
//
// One cycle: inputs are set, evaluated with clk = 0, then clk = 1. Bits on the wires last `bit` cycles, a whole number or not, as
// the host's own clock has it: the board is left to find their middles.

#include <cstdint>

#include "Vcoldspike.h"
#include "verilated.h"

void Vcoldspike___024root___eval(Vcoldspike___024root *);  // see harness.cpp

#define API extern "C" __attribute__((visibility("default")))

namespace {

constexpr int BITS = 10;  // start, data, stop

struct Board {
    VerilatedContext context;
    Vcoldspike top{&context};
    double bit;             // cycles
    uint64_t cycles = 0;
    double next = 0;        // cycles until the middle of the next bit from the board
    int count = BITS;       // bits of the present byte from it that have come; BITS: the wire is idle
    unsigned bits = 0;
    uint64_t broken = 0;    // bytes from it without a stop bit

    explicit Board(double bit) : bit(bit) {}

    // A cycle; true when a byte came to its end, which then is in the upper part of `bits`.
    bool tick() {
        top.clk = 0;
        Vcoldspike___024root___eval(top.rootp);
        const bool wire = top.tx;
        top.clk = 1;
        Vcoldspike___024root___eval(top.rootp);
        ++cycles;
        if (count == BITS) {
            if (!wire) count = 0, bits = 0, next = bit / 2;
            return false;
        }
        if ((next -= 1) >= 0) return false;
        next += bit;
        bits |= unsigned(wire) << count++;
        return count == BITS;
    }
};

}  // namespace

API Board *coldspike_create(double bit) {
    auto *b = new Board(bit);
    b->top.rx = 1;
    b->top.rst = 1;
    b->top.eval();
    return b;
}

API void coldspike_destroy(Board *b) {
    b->top.final();
    delete b;
}

API void coldspike_reset(Board *b, uint64_t cycles) {
    b->top.rst = 1;
    for (uint64_t n = 0; n < cycles; ++n) b->tick();
    b->top.rst = 0;
    b->tick();  // the wrapper's register
}

API uint64_t coldspike_cycles(Board *b) { return b->cycles; }

API uint64_t coldspike_broken(Board *b) { return b->broken; }

API int32_t coldspike_open(Board *b) { return b->top.open; }

// Sends n bytes back to back and then runs `rest` cycles; bytes from the board go to `out`, which has room for them. Returns how many.
API uint64_t coldspike_run(Board *b, const uint8_t *in, uint64_t n, uint64_t rest, uint8_t *out) {
    uint64_t got = 0;
    auto tick = [&] {
        if (!b->tick()) return;
        if (b->bits >> (BITS - 1) & 1 && !(b->bits & 1)) out[got++] = uint8_t(b->bits >> 1);
        else ++b->broken;
    };
    for (uint64_t i = 0; i < n; ++i) {
        const unsigned frame = unsigned(in[i]) << 1 | 1u << (BITS - 1);
        double end = 0;
        for (int k = 0; k < BITS; ++k) {
            b->top.rx = frame >> k & 1;
            for (end += b->bit; end > 0; end -= 1) tick();
        }
    }
    for (uint64_t k = 0; k < rest; ++k) tick();
    return got;
}
