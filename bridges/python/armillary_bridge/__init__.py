"""Makes any Gymnasium or dm_control environment an arm that Armillary drives.

`armillary sim --rig dmc:cartpole-balance` starts this package in a process of its own and puts firmware, serial port and
frame socket in front of it; `armillary record` and `armillary eval` do the same in memory. Nobody here speaks the serial
protocol: a limit, a watchdog or an emergency stop is the same code for every plant.

An environment of your own: write a function that returns a `gymnasium.Env` or a `dm_control.rl.control.Environment`, and name it as
`py:module:function`.
"""

from armillary_bridge.errors import RigError
from armillary_bridge.plant import Actuator, Plant, Spec
from armillary_bridge.rigs import open_rig
from armillary_bridge.server import serve

__all__ = ["Actuator", "Plant", "RigError", "Spec", "open_rig", "serve"]
