"""Where did the bundle go, and which scheduled runs have been prepared and executed?"""
