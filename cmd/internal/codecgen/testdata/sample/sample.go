// Package sample has one type of each form that a codec can have.
package sample

import (
	"encoding/json"
	"net/netip"
	"time"
)

// Tone is a string with a name.
type Tone string

// Count is a number with a name.
type Count int16

// Tags is a slice with a name.
type Tags []string

// Base is embedded.
type Base struct {
	ID     string `json:"id"`
	Shadow string `json:"shadow"`
}

// Side is embedded, too: its Clash and that of Other hide one another.
type Side struct {
	Clash string
	Extra int `json:"extra,omitempty"`
}

// Other clashes with Side.
type Other struct{ Clash string }

// All holds a field of each form.
//
//callboard:codec
type All struct {
	Base
	Side
	Other
	Shadow  string             `json:"shadow"`
	Plain   string             // without a tag
	Tone    Tone               `json:"tone,omitempty"`
	Yes     bool               `json:"yes"`
	YesToo  bool               `json:"yesToo,omitempty"`
	I       int                `json:"i"`
	I8      int8               `json:"i8,omitempty"`
	I64     int64              `json:"i64"`
	U8      uint8              `json:"u8"`
	U64     uint64             `json:"u64,omitzero"`
	Count   Count              `json:"count"`
	F32     float32            `json:"f32"`
	F64     float64            `json:"f64,omitempty"`
	Bytes   []byte             `json:"bytes,omitempty"`
	Null    []byte             `json:"null"`
	Doc     json.RawMessage    `json:"doc,omitempty"`
	At      time.Time          `json:"at,omitzero"`
	Since   time.Time          `json:"since"`
	Texts   []string           `json:"texts"`
	Tags    Tags               `json:"tags,omitempty"`
	Inners  []Inner            `json:"inners"`
	Grid    [][]int            `json:"grid,omitempty"`
	Ref     *Inner             `json:"ref,omitempty"`
	Num     *float64           `json:"num"`
	Deep    **int              `json:"deep,omitempty"`
	Map     map[string]string  `json:"map,omitempty"`
	Lists   map[Tone][]string  `json:"lists"`
	Objects map[string]Inner   `json:"objects,omitempty"`
	Loose   any                `json:"loose,omitempty"`
	Numbers map[int]string     `json:"numbers"`
	Fixed   [2]int             `json:"fixed"`
	Addr    netip.Addr         `json:"addr"`
	Own     Own                `json:"own"`
	Odd     string             `json:"a<b&c"`
	Skipped string             `json:"-"`
	Dash    string             `json:"-,"`
	Inline  struct{ X, Y int } `json:"inline"`
	hidden  int
}

// Inner is reached from All.
type Inner struct {
	Name string  `json:"name"`
	Next *Inner  `json:"next,omitempty"`
	All  []Inner `json:"all,omitempty"`
}

// Own says itself what it is in JSON.
type Own struct{ V string }

// MarshalText writes the value between brackets.
func (o Own) MarshalText() ([]byte, error) { return []byte("[" + o.V + "]"), nil }

// UnmarshalText reads anything.
func (o *Own) UnmarshalText(b []byte) error { o.V = string(b); return nil }

// List is a slice that is marked itself.
//
//callboard:codec
type List []Inner

// Unfit is reached by nobody and not marked.
type Unfit struct {
	N int `json:"n,string"`
}

// Wrap embeds a type with methods and has none of its own: encoding/json must
// serve it, or its other fields were lost.
type Wrap struct {
	Inner
	More string `json:"more"`
}

// Hidden keeps the unexported field from being unused.
func (a All) Hidden() int { return a.hidden }
