"""meter_sim"""
