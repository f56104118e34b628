"""Effects of sensors and actuators between a model and its log, and the observer."""

from pct.measurement.base import Effect as Effect
from pct.measurement.base import Hidden as Hidden
from pct.measurement.base import Layer as Layer
from pct.measurement.chain import with_measurement as with_measurement
from pct.measurement.options import Measurement as Measurement
from pct.measurement.options import option as option
