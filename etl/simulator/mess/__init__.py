"""A mess made of clean transactions, in every way that loading has to cope with, and an account of it."""

from etl.simulator.mess.broken_lines import break_lines
from etl.simulator.mess.damaging import damage
from etl.simulator.mess.notes import DAMAGE

__all__ = ["DAMAGE", "break_lines", "damage"]
