"""What the DQRM paper claims, beside what is found at a size that runs anywhere.

Y. Zhou et al., DQRM: Deep Quantized Recommendation Models, 2024. ``dvc repro
studies/dqrm/dvc.yaml`` trains every variant of every figure and writes the report.
"""
