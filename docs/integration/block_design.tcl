# A Zynq UltraScale+ block design around the core: registers on the processor's AXI port, packets and results through
# an AXI DMA. Run in a project for the board, after 'make verilog':
#   vivado -mode batch -source docs/integration/block_design.tcl -tclargs build/coldspike.v
# For a Zynq-7000 replace the processing system and its port names.

set source [lindex $argv 0]
if {$source eq ""} { set source build/coldspike.v }
if {[llength [get_projects -quiet]] == 0} { create_project coldspike build/vivado -part xczu3eg-sbva484-1-i -force }
add_files -norecurse $source
update_compile_order -fileset sources_1

create_bd_design system
set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e ps]
set_property -dict [list CONFIG.PSU__USE__M_AXI_GP0 1 CONFIG.PSU__USE__M_AXI_GP1 0 CONFIG.PSU__USE__S_AXI_GP2 1 \
    CONFIG.PSU__USE__IRQ0 1 CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 100] $ps
set dma [create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma dma]
set_property -dict [list CONFIG.c_include_sg 0 CONFIG.c_sg_length_width 24 CONFIG.c_m_axis_mm2s_tdata_width 32 \
    CONFIG.c_s_axis_s2mm_tdata_width 32] $dma
set core [create_bd_cell -type module -reference coldspike core]
set control [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect control]
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 2] $control
set memory [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect memory]
set_property -dict [list CONFIG.NUM_SI 2 CONFIG.NUM_MI 1] $memory
set reset [create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset reset]
set lines [create_bd_cell -type ip -vlnv xilinx.com:ip:xlconcat lines]
set_property CONFIG.NUM_PORTS 3 $lines

# The core's own names leave open what belongs to its clock, and that its reset is active high.
set_property CONFIG.ASSOCIATED_BUSIF {s_axi:s_axis:m_axis} [get_bd_pins core/clk]
set_property CONFIG.ASSOCIATED_RESET {rst} [get_bd_pins core/clk]
set_property CONFIG.POLARITY ACTIVE_HIGH [get_bd_pins core/rst]

connect_bd_net [get_bd_pins ps/pl_clk0] [get_bd_pins ps/maxihpm0_fpd_aclk] [get_bd_pins ps/saxihp0_fpd_aclk] \
    [get_bd_pins core/clk] [get_bd_pins control/aclk] [get_bd_pins memory/aclk] [get_bd_pins reset/slowest_sync_clk] \
    [get_bd_pins dma/s_axi_lite_aclk] [get_bd_pins dma/m_axi_mm2s_aclk] [get_bd_pins dma/m_axi_s2mm_aclk]
connect_bd_net [get_bd_pins ps/pl_resetn0] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_reset] [get_bd_pins core/rst]
connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins control/aresetn] [get_bd_pins memory/aresetn] \
    [get_bd_pins dma/axi_resetn]

connect_bd_intf_net [get_bd_intf_pins ps/M_AXI_HPM0_FPD] [get_bd_intf_pins control/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins control/M00_AXI] [get_bd_intf_pins core/s_axi]
connect_bd_intf_net [get_bd_intf_pins control/M01_AXI] [get_bd_intf_pins dma/S_AXI_LITE]
connect_bd_intf_net [get_bd_intf_pins dma/M_AXIS_MM2S] [get_bd_intf_pins core/s_axis]
connect_bd_intf_net [get_bd_intf_pins core/m_axis] [get_bd_intf_pins dma/S_AXIS_S2MM]
connect_bd_intf_net [get_bd_intf_pins dma/M_AXI_MM2S] [get_bd_intf_pins memory/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins dma/M_AXI_S2MM] [get_bd_intf_pins memory/S01_AXI]
connect_bd_intf_net [get_bd_intf_pins memory/M00_AXI] [get_bd_intf_pins ps/S_AXI_HP0_FPD]
connect_bd_net [get_bd_pins core/irq] [get_bd_pins lines/In0]
connect_bd_net [get_bd_pins dma/mm2s_introut] [get_bd_pins lines/In1]
connect_bd_net [get_bd_pins dma/s2mm_introut] [get_bd_pins lines/In2]
connect_bd_net [get_bd_pins lines/dout] [get_bd_pins ps/pl_ps_irq0]

assign_bd_address
validate_bd_design
save_bd_design
make_wrapper -files [get_files system.bd] -top -import
