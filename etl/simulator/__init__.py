"""Makes worlds to test a fraud system on: everyday dining in Peru, with fraud hidden in it and its truth known."""

from etl.simulator.sequel import fresh_ring, regular_visit
from etl.simulator.settings import WorldSettings
from etl.simulator.world import World, simulate
from etl.simulator.writing import write

__all__ = ["World", "WorldSettings", "fresh_ring", "regular_visit", "simulate", "write"]
