"""Rules for the numbers that native code follows without looking: node indices, sizes, row pointers.

One module for each family of models. A rule takes an object and the view of its pickle, and raises
``Unsound`` where the native code would read or write outside of an array, or never return.
"""
