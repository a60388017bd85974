"""A plant of one's own, as a lab would write it: a point that is pushed, under a name that is not its rig's."""

import numpy as np

from armillary_bridge import Actuator, Plant, Spec


class Point(Plant):
    """Starts where its seed says; the reward is for standing in the middle. There is no point before the first episode."""

    spec = Spec(
        name="a point of ours",
        actuators=(Actuator("push", -2.0, 2.0),),
        period_s=0.05,
        action_repeat=1,
        episode_ticks=10,
        software="tests",
    )

    def reset(self, seed):
        self.place = np.random.default_rng(seed).uniform(-1, 1)

    def step(self, control):
        self.place = float(np.clip(self.place + 0.1 * control[0], -1, 1))
        return 1 - abs(self.place)

    def render(self):
        picture = np.zeros((64, 64, 3), np.uint8)
        column = int(round(31 + 30 * self.place))
        picture[28:36, max(column - 3, 0) : column + 4] = 255
        return picture


class Broken(Point):
    """Its reward is no number in its third period."""

    def reset(self, seed):
        super().reset(seed)
        self.periods = 0

    def step(self, control):
        self.periods += 1
        return float("nan") if self.periods == 3 else super().step(control)
