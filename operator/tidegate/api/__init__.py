"""The wire format of `tidegate.dev/v1alpha1`: models, CRD, parsing. The only place that knows it."""
