"""Traces: recorded requests and their answers. Knows nothing of vLLM.

``schema`` what a row may say · ``read`` files to rows · ``store`` prompts to rows
"""
