"""What the consoles of CIS, HES and simulator share: their look, the frame of their pages, and the stream that keeps these live.

It knows neither CIM nor DLMS: each process brings its own pages and values.
"""
