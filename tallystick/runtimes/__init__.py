"""The runtimes: adapters that record what other libraries run. Each needs its library, and is imported by its name."""
