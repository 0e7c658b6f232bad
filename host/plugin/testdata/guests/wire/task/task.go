// Package task is what both guests do: about 1 KB of JSON in, one look into
// the store, about 1 KB of JSON out. Only how the bytes become values differs.
package task

import (
	"errors"
	"slices"
	"strings"
)

// Order is the request's body.
//
//callboard:codec
type Order struct {
	ID       string            `json:"id"`
	Customer string            `json:"customer"`
	Note     string            `json:"note,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Lines    []Line            `json:"lines"`
}

// Line is one line of an Order.
type Line struct {
	SKU      string   `json:"sku"`
	Title    string   `json:"title"`
	Quantity int      `json:"quantity"`
	Price    float64  `json:"price"`
	Tags     []string `json:"tags,omitempty"`
	Gift     bool     `json:"gift,omitempty"`
}

// Prices is what the store keeps: the discount of each tag, in percent.
//
//callboard:codec
type Prices struct {
	Currency  string         `json:"currency"`
	Discounts map[string]int `json:"discounts"`
}

// Bill is the answer.
//
//callboard:codec
type Bill struct {
	Order    string     `json:"order"`
	Customer string     `json:"customer"`
	Currency string     `json:"currency"`
	Total    float64    `json:"total"`
	Saved    float64    `json:"saved"`
	Labels   []string   `json:"labels"`
	Lines    []BillLine `json:"lines"`
}

// BillLine is one line of a Bill.
type BillLine struct {
	SKU      string  `json:"sku"`
	Title    string  `json:"title"`
	Quantity int     `json:"quantity"`
	Amount   float64 `json:"amount"`
	Discount int     `json:"discount,omitempty"`
	Gift     bool    `json:"gift"`
}

// ErrNothing means that an order has no line.
var ErrNothing = errors.New("the order has no line")

// Work makes the bill of an order.
func Work(o Order, p Prices) (Bill, error) {
	if len(o.Lines) == 0 {
		return Bill{}, ErrNothing
	}
	b := Bill{Order: o.ID, Customer: o.Customer, Currency: p.Currency, Lines: make([]BillLine, 0, len(o.Lines))}
	for name, value := range o.Labels {
		b.Labels = append(b.Labels, strings.ToLower(name)+"="+value)
	}
	slices.Sort(b.Labels)
	for _, l := range o.Lines {
		best := 0
		for _, tag := range l.Tags {
			best = max(best, p.Discounts[tag])
		}
		full := float64(l.Quantity) * l.Price
		amount := full * float64(100-best) / 100
		b.Total += amount
		b.Saved += full - amount
		b.Lines = append(b.Lines, BillLine{SKU: l.SKU, Title: l.Title, Quantity: l.Quantity, Amount: amount, Discount: best, Gift: l.Gift})
	}
	return b, nil
}
