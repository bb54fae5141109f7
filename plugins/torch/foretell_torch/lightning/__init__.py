"""LightningModules under ``sdk predict``, and the loaders of their datamodules as sources."""
