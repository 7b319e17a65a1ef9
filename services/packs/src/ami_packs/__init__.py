"""Models of meters as data: which objects a meter has, what implements them, and who may do what with them.

Pure: the models that come with it are data of the package; the text of any other file comes in as an argument.
"""
