package main

import (
	"testing"
	"testing/fstest"
)

func TestContainerMemory(t *testing.T) {
	const v1, v2 = "sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory.max"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no control groups: nothing is known", nil, 0},
		{"cgroup v2 with a limit", map[string]string{v2: "536870912\n"}, 512 << 20},
		{"cgroup v2 without one", map[string]string{v2: "max\n"}, 0},
		{"cgroup v1 with a limit", map[string]string{v1: "268435456\n"}, 256 << 20},
		{"cgroup v1 without one says the largest multiple of a page", map[string]string{v1: "9223372036854771712\n"}, 0},
		{"nonsense is no limit", map[string]string{v2: "-1\n"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := fstest.MapFS{}
			for name, text := range c.files {
				files[name] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := containerMemory(files); got != c.want {
				t.Errorf("%d octets, want %d", got, c.want)
			}
		})
	}
}
