module heliograph/interop/globalsign-est

go 1.22.1

require github.com/globalsign/est v1.0.6
