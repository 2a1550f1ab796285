"""The detectors: one question a module. ``flowbench.detect.registry`` lists them."""
