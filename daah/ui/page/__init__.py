"""What tabs share: components, event settings, examples, HTML, theme."""
