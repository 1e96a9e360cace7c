package main

import "go.uber.org/zap/zapcore"

// levelOf turns the -v flag into zap's level, which counts the other way.
func levelOf(v int) zapcore.Level {
	return zapcore.Level(-min(max(v, 0), 10)) //nolint:gosec // between -10 and 0
}
