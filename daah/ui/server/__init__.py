"""Around Gradio's server: middleware, input checks, retention, uploads."""
