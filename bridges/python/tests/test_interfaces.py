"""Environments whose interface is odd are driven, or refused in a sentence about them."""

import gymnasium
import numpy as np
import pytest

from armillary_bridge import Actuator, RigError, Spec, open_rig
from armillary_bridge.gym import GymPlant
from armillary_bridge.server import TEXT_MAX_BYTES, _text
from odd import Sound, sound
from pipe import Pipe, Refused


def played(plant, ticks=3):
    plant.reset(1)
    return sum(plant.step(np.zeros(len(plant.spec.actuators))) for _ in range(ticks))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("py:odd:Old", r"reset returned an array of float32 with shape \(1,\).*before Gymnasium"),
        ("py:odd:OldStep", "step returned 4 values.*before Gymnasium"),
        ("py:odd:old_step_wrapped", "wrapper of Gymnasium.*before Gymnasium"),
        ("py:odd:NoSeed", r"reset of NoSeed is reset\(\).*seed=None"),
        ("py:odd:no_seed_wrapped", "reset of NoSeed"),
        ("py:odd:resets_itself", "Autoreset"),
        ("py:odd:ChangesActions", r"\[-1.0\] to \[1.0\] of float32 and is \[-2.0\] to \[2.0\]"),
        ("py:odd:needs", r"odd.needs\(arguments\) needs arguments"),
        ("py:odd:not_callable", "odd.not_callable is int 3"),
        ("py:odd:nothing", "returned None.*neither a Plant"),
        ("py:odd:Sond", "no `Sond`; it has Sound"),
        ("py:no_such_module:make", "no module `no_such_module`.*PYTHONPATH"),
        ("py:no.such:make", "no module `no`"),
        ("py:odd:", "names no rig"),
        ("py:odd:Sound@", "behind @"),
        ("py:odd:Sound@1.5", "behind @"),
        ("py:odd: Sound", "blank"),
        ("gym:NoSuchThing-v0", "Gymnasium cannot make `NoSuchThing-v0`"),
    ],
)
def test_a_sentence_about_the_environment(name, words):
    with pytest.raises(RigError, match=words):
        played(open_rig(name))


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"action_space": gymnasium.spaces.Discrete(3)}, r"Discrete\(3\); a Box"),
        ({"action_space": gymnasium.spaces.MultiDiscrete([3, 3])}, "MultiDiscrete.*a Box"),
        ({"action_space": gymnasium.spaces.MultiBinary(3)}, "MultiBinary.*a Box"),
        ({"action_space": gymnasium.spaces.Dict(arm=Sound.action_space)}, "Dict.*a Box"),
        ({"action_space": gymnasium.spaces.Tuple([Sound.action_space])}, "Tuple.*a Box"),
        ({"action_space": gymnasium.spaces.Box(-1, 1, (2, 2))}, r"\(2, 2\).*shape \(4,\)"),
        ({"action_space": gymnasium.spaces.Box(-1, 1, ())}, r"shape \(1,\)"),
        ({"action_space": gymnasium.spaces.Box(-1, 1, (9,))}, "9 actuators; 1 to 8"),
        ({"action_space": None}, "None; a Box"),
        ({"render_mode": "human"}, "it has human"),
        ({"render_mode": "rgb_array_list"}, "it has rgb_array_list"),
        ({"metadata": {"render_fps": 500}}, "@3"),
        ({"metadata": {"render_fps": 0}}, "render_fps.*above 0"),
        ({"metadata": {"render_fps": "fast"}}, "render_fps.*'fast'"),
        ({"dt": 0.0005}, "@10"),
        ({"dt": 2.0}, "1 s at most.*declare shorter steps"),
        ({"dt": float("nan")}, "`dt` is nan"),
        ({"dt": -0.1}, "`dt` is -0.1.*above 0"),
        ({"dt": lambda self, unit: 0.1}, "`dt` is a method that cannot be called"),
        ({"dt": lambda self: "fast"}, "`dt` is str 'fast'"),
        ({"reward": None}, "reward of its step 1 is None"),
        ({"reward": "much"}, "reward of its step 1 is str"),
        ({"terminated": None}, "`terminated` of its step 1 is None"),
        ({"step": lambda self, action: None}, "step returned None"),
        ({"step": lambda self, action: (0, 1.0)}, "step returned a tuple of 2"),
        ({"reset": lambda self, seed=None: None}, "reset returned None"),
        ({"reset": lambda self, seed=None: (0, 0)}, "reset returned a tuple of 2"),
    ],
)
def test_an_environment_that_is_odd_in_one_way(attributes, words):
    with pytest.raises(RigError, match=words):
        played(GymPlant("py:odd", sound(**attributes), repeat=1))


@pytest.mark.parametrize(
    ("attributes", "period_s"),
    [
        ({}, 0.05),
        ({"dt": 0.02}, 0.02),
        ({"dt": np.array([0.02])}, 0.02),
        ({"dt": lambda self: 0.02}, 0.02),
        ({"dt": None}, 0.05),
        ({"metadata": {"render_fps": 200}}, 0.005),
        ({"metadata": {}}, 0.05),
        ({"metadata": None}, 0.05),
        ({"reward": np.array([1.0]), "terminated": np.bool_(False)}, 0.05),
        ({"reset": lambda self, seed: (setattr(self, "steps", 0), None)}, 0.05),
    ],
)
def test_an_environment_that_is_driven(attributes, period_s):
    plant = GymPlant("py:odd", sound(**attributes), repeat=1)
    assert plant.spec.period_s == pytest.approx(period_s)
    assert played(plant) == 3.0
    declared = attributes.get("dt") is not None or "render_fps" in (attributes.get("metadata", Sound.metadata) or {})
    assert bool(plant.spec.remarks) != declared


def test_a_time_limit_of_a_wrapper_is_no_end():
    plant = GymPlant("py:odd", gymnasium.wrappers.TimeLimit(Sound(), 7), repeat=1)
    assert plant.spec.episode_ticks == 7
    assert played(plant, 9) == 9.0 and not plant.ended
    both = GymPlant("py:odd", gymnasium.wrappers.TimeLimit(gymnasium.wrappers.TimeLimit(Sound(), 5), 7), repeat=1)
    assert played(both, 9) == 9.0 and not both.ended
    with pytest.raises(RigError, match="7 steps, fewer than the 8"):
        GymPlant("py:odd", gymnasium.wrappers.TimeLimit(Sound(), 7), repeat=8)


SPEC = {"name": "own", "actuators": (Actuator("push", -1, 1),), "period_s": 0.1, "action_repeat": 2, "episode_ticks": 5, "software": ""}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"actuators": ()}, "0 actuators"),
        ({"actuators": (Actuator("push", -1, 1),) * 2}, "name of its own"),
        ({"actuators": (Actuator("push", None, 1),)}, "no numbers: None and int 1"),
        ({"period_s": "fast"}, "control period is str"),
        ({"period_s": float("nan")}, "control period is float nan"),
        ({"period_s": 0.002}, "write @5"),
        ({"period_s": 1.5}, "smaller number behind @"),
        ({"action_repeat": 0}, "`action_repeat`.*int 0"),
        ({"episode_ticks": 1e3}, "`episode_ticks`.*float"),
        ({"name": None}, "`name`"),
    ],
)
def test_a_spec_of_ones_own(changed, words):
    assert Spec(**SPEC).period_s == 0.1
    with pytest.raises(RigError, match=words):
        Spec(**{**SPEC, **changed})


@pytest.mark.parametrize(
    ("rig", "words"),
    [
        ("py:odd:NanInTheThirdStep", ["tick 3: the reward of its step 3 is nan"]),
        ("py:odd:NanInTheThirdStep@2", ["tick 2: the reward of its step 3 is nan"]),
        ("py:odd:Raises", ["tick 1: RuntimeError: the gripper does not answer", "odd.py, line ", "in step"]),
        ("py:odd:TalksTooMuch", [r"much \udcffmuch", "odd.py, line "]),
        ("py:odd:Exits", ["tick 1", "sys.exit(7)", "odd.py"]),
        ("py:odd:ExplainsGl", ["MUJOCO_GL was egl"]),
    ],
)
def test_what_fails_in_a_period_names_it(rig, words):
    with Pipe(rig) as pipe:
        pipe.greeting()
        pipe.reset()
        pipe.picture()
        with pytest.raises(Refused) as refused:
            for _ in range(4):
                pipe.step(0.0)
        assert all(word in str(refused.value) for word in words), refused.value
        # It still answers.
        pipe.reset()


@pytest.mark.parametrize("rig", ["py:odd:Sound", "py:odd:Closed"])
def test_a_picture_of_ones_own_is_brought_to_the_side(rig):
    with Pipe(rig) as pipe:
        pipe.greeting()
        pipe.reset()
        for side in (64, 96, 128):
            assert set(pipe.picture(side)) == {100}


def test_what_fails_at_the_start_names_the_users_line():
    with Pipe("py:odd:imports_what_is_not_there") as pipe, pytest.raises(Refused, match=r"ModuleNotFoundError.*odd.py, line \d+"):
        pipe.greeting()


def test_what_the_user_chose_for_drawing_stays():
    with Pipe("py:odd:ExplainsGl", MUJOCO_GL="osmesa") as pipe:
        pipe.greeting()
        pipe.reset()
        with pytest.raises(Refused, match="MUJOCO_GL was osmesa"):
            pipe.step(0.0)


def test_the_pipe_belongs_to_the_protocol():
    with Pipe("py:odd:Prints") as pipe:
        pipe.greeting()
        pipe.reset()
        assert [pipe.step(0.0) for _ in range(2)] == [(1.0, False)] * 2
        status, said = pipe.quit()
        assert status == 0 and said.count("printed") == said.count("written") == 2


def test_a_text_that_is_cut_ends_with_a_whole_character():
    for padding in range(4):
        text = _text(RigError("x" * padding + "\N{GRINNING FACE}" * TEXT_MAX_BYTES))
        assert TEXT_MAX_BYTES - 4 < len(text) <= TEXT_MAX_BYTES
        assert set(text.decode()) <= {"x", "\N{GRINNING FACE}"}
