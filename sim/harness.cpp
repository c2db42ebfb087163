// Drives the verilated accelerator through its AXI ports; C ABI for device.py.
//
// One cycle: inputs are set, evaluated with clk = 0 (ready and valid may depend on them), handshakes are sampled, then
// clk = 1. AXI rules: valid stays, with the same data, until ready; only ready may come and go. Stalls are drawn
// per channel and cycle from one generator, so a seed and a sequence of calls always give the same run.

#include <cstdint>
#include <vector>

#include "Vcoldspike.h"
#include "verilated.h"

// The evaluation proper. Vcoldspike::eval() adds two mutexes and a thread-local look-up for features that are not built
// in: 100 ns, which halves the speed of a small core. Its first call also initialises, so that one is made once.
void Vcoldspike___024root___eval(Vcoldspike___024root *);

#define API extern "C" __attribute__((visibility("default")))

namespace {

enum Status : int32_t {  // device.py has the same list
    OK = 0,
    INPUT_WAITS = 1,   // s_axis_tvalid high, no s_axis_tready
    RESULT_WAITS = 2,  // m_axis_tready high (stalls apart), no m_axis_tvalid
    ADDRESS_WAITS = 3, // awvalid or arvalid, no ready
    DATA_WAITS = 4,    // wvalid, no wready
    RESPONSE_WAITS = 5 // bready or rready, no valid
};

class Random {  // xorshift64*
  public:
    explicit Random(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15ull + 0x1234567ull) {
        if (!state) state = 1;
    }
    uint32_t draw() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return uint32_t((state * 0x2545F4914F6CDD1Dull) >> 32);
    }

  private:
    uint64_t state;
};

struct Device {
    VerilatedContext context;
    Vcoldspike core{&context};
    Random random;
    uint32_t threshold;  // a channel stalls when a draw is below
    uint64_t cycles = 0;
    uint64_t sent = 0;       // words of the last exchange that were accepted
    uint64_t packets = 0;    // result packets of the last exchange
    std::vector<uint32_t> words;
    std::vector<uint8_t> last;

    Device(double stall, uint64_t seed) : random(seed), threshold(uint32_t(stall * 4294967296.0)) {}

    bool stalls() { return threshold && random.draw() < threshold; }

    void settle() {
        core.clk = 0;
        Vcoldspike___024root___eval(core.rootp);
    }
    void edge() {
        core.clk = 1;
        Vcoldspike___024root___eval(core.rootp);
        ++cycles;
    }
    void tick() {
        settle();
        edge();
    }
};

// One AXI4-Lite channel on which the host is the sender: valid after a random pause, until ready.
struct Sender {
    bool active = false, done = false;
    bool step_before(Device &d) { return active = !done && (active || !d.stalls()); }
    void step_after(bool ready) {
        if (active && ready) active = false, done = true;
    }
};

}  // namespace

API Device *coldspike_create(double stall, uint64_t seed) {
    auto *d = new Device(stall, seed);
    d->core.rst = 1;
    d->core.eval();
    return d;
}

API void coldspike_destroy(Device *d) {
    d->core.final();
    delete d;
}

API void coldspike_reset(Device *d, uint64_t cycles) {
    auto &c = d->core;
    c.s_axi_awvalid = c.s_axi_wvalid = c.s_axi_bready = c.s_axi_arvalid = c.s_axi_rready = 0;
    c.s_axis_tvalid = c.m_axis_tready = 0;
    c.rst = 1;
    for (uint64_t n = 0; n < cycles; ++n) d->tick();
    c.rst = 0;
    d->tick();  // the wrapper's register: the core sees the end of reset one cycle later
}

API uint64_t coldspike_cycles(Device *d) { return d->cycles; }

API int32_t coldspike_irq(Device *d) {
    d->settle();
    return d->core.irq;
}

API void coldspike_step(Device *d, uint64_t cycles) {
    for (uint64_t n = 0; n < cycles; ++n) d->tick();
}

// Response code (OKAY 0) in *response. Timeout counts all cycles of the transaction.
API int32_t coldspike_write(Device *d, uint32_t address, uint32_t value, uint64_t timeout, uint32_t *response) {
    auto &c = d->core;
    Sender aw, w;
    bool ready = false, answered = false;
    c.s_axi_awaddr = address;
    c.s_axi_awprot = 0;
    c.s_axi_wdata = value;
    c.s_axi_wstrb = 0xF;
    for (uint64_t n = 0; n < timeout && !answered; ++n) {
        c.s_axi_awvalid = aw.step_before(*d);
        c.s_axi_wvalid = w.step_before(*d);
        c.s_axi_bready = ready = !d->stalls();
        d->settle();
        aw.step_after(c.s_axi_awready);
        w.step_after(c.s_axi_wready);
        answered = ready && c.s_axi_bvalid;
        *response = c.s_axi_bresp;
        d->edge();
    }
    if (answered) c.s_axi_awvalid = c.s_axi_wvalid = c.s_axi_bready = 0;
    return answered ? OK : !aw.done ? ADDRESS_WAITS : !w.done ? DATA_WAITS : RESPONSE_WAITS;
}

API int32_t coldspike_read(Device *d, uint32_t address, uint32_t *value, uint64_t timeout, uint32_t *response) {
    auto &c = d->core;
    Sender ar;
    bool ready = false, answered = false;
    c.s_axi_araddr = address;
    c.s_axi_arprot = 0;
    for (uint64_t n = 0; n < timeout && !answered; ++n) {
        c.s_axi_arvalid = ar.step_before(*d);
        c.s_axi_rready = ready = !d->stalls();
        d->settle();
        ar.step_after(c.s_axi_arready);
        answered = ready && c.s_axi_rvalid;
        *value = c.s_axi_rdata;
        *response = c.s_axi_rresp;
        d->edge();
    }
    if (answered) c.s_axi_arvalid = c.s_axi_rready = 0;
    return answered ? OK : !ar.done ? ADDRESS_WAITS : RESPONSE_WAITS;
}

// Sends n words and collects result words until the input is accepted, `results` packets have come and no packet is
// half received. Timeout: cycles in which no word passed either way. coldspike_take copies what was collected.
API int32_t coldspike_exchange(Device *d, const uint32_t *words, const uint8_t *last, uint64_t n, uint64_t results,
                               uint64_t timeout, uint64_t *collected) {
    auto &c = d->core;
    d->words.clear();
    d->last.clear();
    d->sent = d->packets = 0;
    uint64_t quiet = 0;
    bool valid = false, whole = true;
    while (d->sent < n || d->packets < results || !whole) {
        valid = d->sent < n && (valid || !d->stalls());
        if (valid) {
            c.s_axis_tdata = words[d->sent];
            c.s_axis_tlast = last[d->sent];
        }
        c.s_axis_tvalid = valid;
        c.m_axis_tready = !d->stalls();
        d->settle();
        const bool accepted = valid && c.s_axis_tready, received = c.m_axis_tready && c.m_axis_tvalid;
        if (received) {
            whole = c.m_axis_tlast;
            d->words.push_back(c.m_axis_tdata);
            d->last.push_back(whole);
            d->packets += whole;
        }
        d->edge();
        if (accepted) {
            ++d->sent;
            valid = false;
        }
        quiet = accepted || received ? 0 : quiet + 1;
        if (quiet >= timeout) break;
    }
    *collected = d->words.size();
    c.m_axis_tready = 0;
    if (quiet >= timeout) return d->sent < n ? INPUT_WAITS : RESULT_WAITS;
    c.s_axis_tvalid = 0;
    return OK;
}

API void coldspike_take(Device *d, uint32_t *words, uint8_t *last) {
    for (size_t i = 0; i < d->words.size(); ++i) words[i] = d->words[i], last[i] = d->last[i];
}

#ifdef COLDSPIKE_COUNTS
// In a library that counts its branches for the compiler: writes down what was counted.
extern "C" void __gcov_dump(void);
API void coldspike_counted() { __gcov_dump(); }
#endif

// Words accepted and packets received by the last exchange, for messages.
API void coldspike_progress(Device *d, uint64_t *sent, uint64_t *packets) {
    *sent = d->sent;
    *packets = d->packets;
}
