module tidegate.dev/tests/cluster/static

go 1.26.0
