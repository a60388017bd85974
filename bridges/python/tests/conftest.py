"""Before any test module imports a simulator: pictures are drawn in memory, as they are behind the pipe."""

from armillary_bridge.rigs import prepare_drawing

prepare_drawing()
