"""The plots, a module each: tables in, a matplotlib figure out, and `style.save` to write it.

Every title is computed from the tables, so that it is true of the study that is shown.
"""
