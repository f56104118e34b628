"""Named vehicles, one file a vehicle: Python where its values are derived, TOML in ``library`` otherwise."""

from pct.dynamics.vehicles import av_21 as av_21
from pct.dynamics.vehicles import bmw_320i as bmw_320i
from pct.dynamics.vehicles import f1tenth as f1tenth
from pct.dynamics.vehicles import library as library
from pct.dynamics.vehicles import orca as orca
from pct.dynamics.vehicles.vehicle import VEHICLES as VEHICLES
from pct.dynamics.vehicles.vehicle import Vehicle as Vehicle
from pct.dynamics.vehicles.vehicle import register_vehicle as register_vehicle
from pct.dynamics.vehicles.vehicle import with_vehicle as with_vehicle
