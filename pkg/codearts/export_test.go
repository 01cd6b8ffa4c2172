package codearts

import "context"

// CallWhole is Call, but nothing is redacted in what it returns.
func (c *Client) CallWhole(ctx context.Context, name string, args map[string]any) (any, error) {
	op := c.op(name)
	values, err := op.values(args)
	if err != nil {
		return nil, invalid(op, "%v", err)
	}
	return op.call(ctx, c, values)
}
